import { spawnSync } from 'node:child_process';
import path from 'node:path';

const bench = path.resolve(__dirname, '..', '..', 'bench');

/**
 * What a function of the harness returns. Its modules are ES modules, which this runner's programs
 * cannot import, so the call happens in a process of its own; arguments and result pass as JSON.
 *
 * @param file of the module, in bench/
 * @param body of a function of (module, argument)
 */
export function callBench<Result>(file: string, body: string, argument: unknown): Result {
  const url = JSON.stringify(`file://${path.join(bench, file)}`);
  const program = `
    import { readFileSync } from 'node:fs';
    import * as module from ${url};
    const argument = JSON.parse(readFileSync(0, 'utf8'));
    const result = await (async (module, argument) => { ${body} })(module, argument);
    console.log(JSON.stringify(result));`;
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--input-type=module', '--eval', program],
    { encoding: 'utf8', input: JSON.stringify(argument) },
  );
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Result;
}
