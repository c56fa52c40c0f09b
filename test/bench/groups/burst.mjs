import { repeat, runLoad } from '../measure.mjs';
import { openPlan, W1, w2 } from '../plans.mjs';

/** Many requests in flight at once, more than a host walks at a time: what finds no place queues, and none fails. */
export async function measure(bench) {
  const { concurrent: count, repetitions } = bench.options;
  const host = await bench.host();
  const rows = [];
  for (const plan of [W1, w2(bench.target.url)]) {
    const requests = await openPlan(host.api, plan, 'last_step');
    const figures = await repeat(repetitions, async () => {
      const { runs_per_s: perSecond, ...rest } = await runLoad(bench, host, {
        ...{ requests, connections: count, count },
      });
      return { all_done_ms: (count / perSecond) * 1_000, ...rest };
    });
    rows.push({
      name: `${plan.name}, ${count} requests at the same moment`,
      figures,
      aims: [{ figure: 'errors', atMost: 0 }],
    });
  }
  return rows;
}
