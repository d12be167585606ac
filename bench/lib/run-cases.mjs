// Cases and extras one after the other, told as they end.
import { handover } from './machine.mjs';
import { CheckFailed, measureCase } from './measure.mjs';
import { HURRY, planFor } from './plan.mjs';
import { caseLine } from './table.mjs';

const MS_PER_MINUTE = 60_000;

/**
 * Measures the cases. What is wrong with a library goes into `broken`, and the run goes on.
 *
 * @param context { plan, wanted, machine, started }
 * @returns the records
 */
export async function runCases(pool, cases, context, broken) {
  const { started } = context;
  let { plan } = context;
  const idWidth = Math.max(...cases.map(({ id }) => id.length));
  const records = [];
  for (const it of cases) {
    pool.keepOnly(it.threads);
    const isLate = Date.now() - started > plan.hurryAfter * MS_PER_MINUTE;
    if (isLate && plan.rounds > HURRY.rounds) {
      plan = { ...plan, ...HURRY };
      console.log('(late: single rounds from here)');
    }
    try {
      const record = await measureCase(pool, it, { ...context, plan: planFor(it, plan) });
      if (it.threads > 1) record.handover_ns = await handover();
      records.push(record);
      console.log(caseLine(record, idWidth));
      broken.push(...Object.entries(record.checks).map((check) => `${it.id}: ${check.join(': ')}`));
      if (record.failed.native) broken.push(`${it.id}: native: ${record.failed.native}`);
    } catch (error) {
      if (!(error instanceof CheckFailed)) throw error;
      broken.push(`${it.id}: ours: ${error.message}`);
      console.log(`${it.id}: OURS FAILED: ${error.message}`);
    }
  }
  return records;
}

/**
 * Makes the extra measurements. One that fails is kept as { failed: why } and goes into `broken`.
 *
 * @param context { plan, wanted, isa, log }
 * @returns what was measured, by name
 */
export async function runExtras(extras, context, broken) {
  const measured = {};
  for (const { name, title, minutes, measure } of extras) {
    console.log(`\n${title} (about ${minutes} minutes)`);
    try {
      measured[name] = await measure(context);
      broken.push(...(measured[name].checks_failed ?? []));
    } catch (error) {
      measured[name] = { failed: error.message };
      broken.push(`${name}: ${error.message}`);
    }
  }
  return measured;
}
