import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { load, text } from '../../lib';
import { builtLibrary, root } from '../helpers/library';

// What the documents say: programs run and print what is printed there, links lead somewhere, and
// commands, files and folders that are named exist.

const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');
const README = read('README.md');
const DOCUMENTS = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'bench/README.md',
  'test/golden/README.md',
  ...readdirSync(path.join(root, 'docs'))
    .filter((file) => file.endsWith('.md'))
    .map((file) => `docs/${file}`),
];

interface Block {
  language: string;
  code: string;
}

/** The fenced blocks of a document, in order. */
function blocksOf(markdown: string): Block[] {
  return [...markdown.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, language, code]) => ({
    language: language!,
    code: code!,
  }));
}

/** What is left without fenced blocks: prose, in which links and code spans mean what they say. */
const proseOf = (markdown: string): string => markdown.replace(/^```[\s\S]*?^```$/gm, '');

/** The name that GitHub gives a heading's anchor. */
function anchorOf(heading: string): string {
  return heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replace(/\s/g, '-');
}

const anchorsOf = (markdown: string): string[] =>
  [...proseOf(markdown).matchAll(/^#{1,6}\s+(.+)$/gm)].map(([, heading]) => anchorOf(heading!));

/** Every match of `pattern` in all documents, as "document: match". */
function mentions(pattern: RegExp, texts = read): { document: string; match: string }[] {
  return DOCUMENTS.flatMap((document) =>
    [...texts(document).matchAll(pattern)].map(([, match]) => ({ document, match: match! })),
  );
}

describe('the programs in the README', () => {
  const blocks = blocksOf(README);
  const programs = blocks.filter(({ language }) => language === 'js').map(({ code }) => code);
  let folder: string;
  let exampleOutput: string;

  /** Runs a program of the README where `ostinato` is installed; returns what it prints. */
  function run(index: number): string {
    const file = path.join(folder, `program-${index}.mjs`);
    writeFileSync(file, programs[index]!);
    return execFileSync(process.execPath, [file], {
      cwd: folder,
      encoding: 'utf8',
      timeout: 120_000,
    });
  }

  beforeAll(() => {
    builtLibrary();
    folder = mkdtempSync(path.join(tmpdir(), 'ostinato-readme-'));
    mkdirSync(path.join(folder, 'node_modules'));
    symlinkSync(root, path.join(folder, 'node_modules', 'ostinato'), 'junction');
    copyFileSync(
      path.join(root, 'test', 'golden', 'data', 'stateDict', 'tagger.safetensors'),
      path.join(folder, 'tagger.safetensors'),
    );
    // Others read the model that it saves.
    exampleOutput = run(0);
  }, 150_000);

  afterAll(() => {
    if (folder) rmSync(folder, { recursive: true, force: true });
  });

  test('the example prints what stands under it, and saves a model that goes on', async () => {
    const printed = exampleOutput.split('\n');
    const shown = blocks
      .find(({ language }) => language === 'text')!
      .code.trimEnd()
      .split('\n');
    const splitLoss = (lines: string[]) =>
      lines.map((line) => {
        const [, words, loss] = /^(epoch \d+: loss )([\d.]+)$/.exec(line) ?? [];
        return { words: words ?? line.trimEnd(), loss: Number(loss ?? 0) };
      });
    const [got, want] = [splitLoss(printed), splitLoss(shown)];
    expect(got.map(({ words }) => words)).toEqual(want.map(({ words }) => words));
    // Instruction sets differ in the last bits, and training lets them grow.
    got.forEach(({ loss }, i) => expect(Math.abs(loss - want[i]!.loss)).toBeLessThan(0.01));
    expect(want.filter(({ loss }) => loss > 0)).toHaveLength(8);

    const model = await load(path.join(folder, 'fox.safetensors'));
    const { vocab } = model.metadata as { vocab: unknown };
    const characters = text.CharVocab.fromJSON(vocab);
    let written = '';
    const options = { prompt: 'jumps over ', length: 13, temperature: 0 };
    for await (const one of text.generate(model.session(), characters, options)) written += one;
    expect(written).toBe('the lazy dog.');
    model.dispose();
  });

  // `// value` at the end of a line that prints says what it prints.
  test.each(programs.map((_code, index) => index).slice(1))(
    'program %i runs, and prints what its comments say',
    (index) => {
      const printed = run(index).split('\n');
      const promised = [...programs[index]!.matchAll(/^\s*console\.log\(.*\/\/ (.+)$/gm)];
      expect(printed).toEqual(expect.arrayContaining(promised.map(([, value]) => value)));
    },
    150_000,
  );

  test('there is a program for each subject, and most of them promise an output', () => {
    expect(programs).toHaveLength(8);
    expect(programs.filter((code) => /console\.log\(.*\/\/ /.test(code))).toHaveLength(6);
  });
});

test.each(DOCUMENTS)('the links of %s lead somewhere', (document) => {
  const prose = proseOf(read(document)).replace(/`[^`\n]*`/g, '');
  const targets = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!);
  const broken = targets.filter((target) => {
    if (/^(https?|mailto):/.test(target)) return false;
    const [file = '', anchor] = target.split('#');
    const resolved = file === '' ? document : path.posix.join(path.posix.dirname(document), file);
    if (!existsSync(path.join(root, resolved))) return true;
    return anchor !== undefined && !anchorsOf(read(resolved)).includes(anchor);
  });
  expect(broken).toEqual([]);
});

test('scripts that the documents name exist', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  const found = mentions(/\bnpm run (?:--\S+ )*([\w:-]+)/g);
  expect(found.length).toBeGreaterThan(10);
  expect(found.filter(({ match }) => !(match in scripts))).toEqual([]);
});

test('commands of the command line that the documents name exist', () => {
  const commands = readdirSync(path.join(root, 'lib', 'cli', 'commands')).map((file) =>
    path.basename(file, '.ts'),
  );
  const found = mentions(/\bnpx ostinato (\w+)/g);
  expect(new Set(found.map(({ match }) => match))).toEqual(new Set(commands));
});

test('files and folders that the documents name exist', () => {
  // The cell by which docs/adding-a-cell.md teaches is not part of the library.
  const taught = /coupled[_-]lstm/;
  const inText = mentions(
    /`((?:native|lib|scripts|test|docs|examples|bench)\/[\w./-]*)`/g,
    (file) => proseOf(read(file)),
  );
  const inCommands = mentions(/\bnode ((?:scripts|examples|bench)\/[\w./-]+)/g);
  expect(inText.length).toBeGreaterThan(30);
  const missing = [...inText, ...inCommands].filter(
    ({ document, match }) =>
      !taught.test(match) &&
      !existsSync(path.join(root, match)) &&
      !existsSync(path.join(root, path.dirname(document), match)),
  );
  expect(missing).toEqual([]);
});
