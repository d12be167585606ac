/**
 * The golden vectors once more on each instruction set that this machine has beside the one that
 * this process uses: the choice is made once a process, so each gets a process of its own.
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { info } from '../../lib';
import { inTemporaryDirectory } from '../helpers/models';
import { readIndex } from './vectors';

const ROOT = join(__dirname, '..', '..');
const { isa: own, isas } = info();
const others = isas.filter((isa) => isa !== own);

// Printed in any case, so that a log shows what was left out on this machine.
console.log(`golden vectors: ${own} in this process, ${others.join(', ') || 'none'} in others`);

test('this process uses one of the instruction sets that the machine has', () => {
  expect(isas).toContain(own);
  expect(isas).toContain('scalar');
});

if (others.length > 0) {
  test.each(others)(
    '%s',
    (isa) =>
      inTemporaryDirectory(async (directory) => {
        const report = join(directory, 'report.json');
        const jest = join(ROOT, 'node_modules', 'jest', 'bin', 'jest.js');
        const choice = ['--testPathPatterns', 'golden/golden\\.test'];
        // A failed test makes this reject, with what jest printed.
        await promisify(execFile)(
          process.execPath,
          [jest, '--runInBand', '--json', `--outputFile=${report}`, ...choice],
          { cwd: ROOT, env: { ...process.env, OSTINATO_ISA: isa }, maxBuffer: 2 ** 26 },
        );
        // A test for each file, and the two that look at all of them and at the instruction set.
        const tests = readIndex().length + 2;
        expect(JSON.parse(readFileSync(report, 'utf8'))).toMatchObject({
          numPassedTests: tests,
          numTotalTests: tests,
        });
      }),
    180_000,
  );
}
