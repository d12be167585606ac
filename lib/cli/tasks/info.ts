import { info as describe } from '../../runtime';
import { Output, columns } from '../output';
import { EXIT } from '../usage-error';

/** Prints what this installation runs on. */
export function info(json: boolean): number {
  const output = new Output(json);
  const found = describe();
  output.object({ ...found });
  output.line(
    columns([
      ['version', found.version],
      ['instruction set', `${found.isa} (of ${found.isas.join(', ')})`],
      ['threads', `${found.threads} (${found.parallel})`],
      ['cells', found.cells.map(({ name }) => name).join(', ')],
      ['compiler', found.compiler],
      ['node', `${found.node} on ${found.platform}-${found.arch}`],
    ]),
  );
  return EXIT.done;
}
