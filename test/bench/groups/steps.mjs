import { repeat, runLoad } from '../measure.mjs';
import { openPlan } from '../plans.mjs';

/** One execution of many steps, each of which needs the one before; nothing else runs. */
export async function measure(bench) {
  const { options } = bench;
  const host = await bench.host();
  const rows = [];
  for (const [name, stepOf] of Object.entries(KINDS)) {
    const count = options.stepsOfLongPlan;
    const steps = Array.from({ length: count }, (_, at) => ({ id: `s${at}`, ...stepOf(at) }));
    const requests = await openPlan(host.api, { name, steps, includes: '"n":' }, 'last_step');
    const run = (times) => runLoad(bench, host, { requests, connections: 1, count: times });
    await run(1);
    const figures = await repeat(options.repetitions, async () => {
      const { p50_ms: tookMs, cpu_ms: cpuMs, errors } = await run(RUNS);
      return {
        ms_per_step: tookMs / count,
        whole_ms: tookMs,
        cpu_ms_per_step: cpuMs / count,
        errors,
      };
    });
    rows.push({ name: `${count} steps of ${name}`, figures });
  }
  return rows;
}

/** One after another: a single one is short for a clock of CPU time. */
const RUNS = 5;

const KINDS = {
  'logic.transform': (at) => ({
    provider: 'logic',
    action: 'transform',
    params: { value: { n: at === 0 ? '${trigger.body.n}' : `\${steps.s${at - 1}.output.n}` } },
  }),
  'code.javascript': (at) => ({
    provider: 'code',
    action: 'javascript',
    params: {
      source: 'return { n: input + 1 }',
      input: at === 0 ? '${trigger.body.n}' : `\${steps.s${at - 1}.output.n}`,
    },
  }),
};
