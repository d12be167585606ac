import { parseCell } from '../../cells/define-cell';
import { inspect as readHeader } from '../../safetensors';
import { savedModel } from '../../serialize';
import { isRecord } from '../../validate';
import { Output, bytesText, columns, grouped, table } from '../output';
import { EXIT } from '../usage-error';

const OWN = /^ostinato\./;

/**
 * What tells a layer from others of its type; its initialisers have done their work, and a cell's
 * equations have lines of their own.
 */
function optionsText(layer: Record<string, unknown>): string {
  return Object.entries(layer)
    .filter(([key, value]) => !/^(type|name|cell|.*Initializer)$/.test(key) && value !== false)
    .map(([key, value]) =>
      value === true ? key : `${key} ${isRecord(value) ? JSON.stringify(value) : String(value)}`,
    )
    .join(', ');
}

/** The equations of a layer whose cell is defined in the file. */
function cellText({ name, cell }: Record<string, unknown>): string | undefined {
  if (typeof cell !== 'string') return undefined;
  try {
    const { name: cellName, equations } = parseCell(cell, 'cell');
    return [`${String(name)}: cell ${cellName}`, ...equations.map((it) => `  ${it}`)].join('\n');
  } catch {
    return `${String(name)}: ${cell}`; // a damaged one: as it stands
  }
}

/** What the metadata of the user holds, shortened: `vocab (89 characters)`. */
function metadataText(metadata: unknown): string | undefined {
  if (metadata === undefined) return undefined;
  const { vocab, ...rest } = isRecord(metadata) ? metadata : { vocab: undefined };
  const parts = Object.keys(rest);
  const characters = isRecord(vocab) ? vocab['characters'] : undefined;
  if (Array.isArray(characters)) parts.unshift(`a vocabulary of ${characters.length} characters`);
  return parts.length > 0 ? parts.join(', ') : JSON.stringify(metadata);
}

/** Prints what the head of a safetensors file says. */
export async function inspect(file: string, json: boolean): Promise<number> {
  const output = new Output(json);
  const header = await readHeader(file);
  const saved =
    header.metadata['ostinato.config'] === undefined ? undefined : savedModel(header, file);
  const tensors = header.tensors.map(({ name, dtype, shape }) => ({
    name,
    dtype,
    shape,
    elements: shape.reduce((product, length) => product * length, 1),
  }));
  const parameters = tensors.reduce((sum, { elements }) => sum + elements, 0);
  const layers = saved?.config.layers ?? null;
  output.object({
    file,
    bytes: header.fileBytes,
    parameters,
    layers: layers,
    seed: saved?.config.seed ?? null,
    tensors: tensors.map(({ name, dtype, shape }) => ({ name, dtype, shape })),
    metadata: header.metadata,
  });
  if (json) return EXIT.done;

  const facts: [string, string][] = [
    ['file', `${file} (${bytesText(header.fileBytes)})`],
    ['parameters', grouped(parameters)],
  ];
  const version = header.metadata['ostinato.version'];
  if (version !== undefined) facts.push(['written by', `ostinato ${version}`]);
  const kept = metadataText(saved?.metadata);
  if (kept !== undefined) facts.push(['metadata', kept]);
  for (const [key, value] of Object.entries(header.metadata)) {
    if (!OWN.test(key)) facts.push([key, value]);
  }
  output.line(columns(facts));
  if (layers !== null) {
    const rows = layers.map((layer) => [layer['name'] as string, layer.type, optionsText(layer)]);
    output.line(`\n${table(['layer', 'type', 'options'], rows)}`);
    for (const text of layers.map(cellText)) {
      if (text !== undefined) output.line(`\n${text}`);
    }
  }
  const rows = tensors.map(({ name, dtype, shape, elements }) => [
    name,
    dtype,
    `[${shape.join(', ')}]`,
    grouped(elements),
  ]);
  output.line(`\n${table(['tensor', 'type', 'shape', 'elements'], rows)}`);
  return EXIT.done;
}
