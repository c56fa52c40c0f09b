import { measureAnswered } from '../answered-runs.mjs';
import { w2 } from '../plans.mjs';

/** Webhook -> transform -> code that reads it -> request that reads that -> answer. */
export async function measure(bench) {
  const aims = [
    { figure: 'runs_per_s', atLeast: 900 },
    { figure: 'cpu_ms', atMost: 1.9 },
  ];
  return await measureAnswered(bench, { plan: w2(bench.target.url), aims });
}
