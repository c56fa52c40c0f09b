import { measureAnswered } from '../answered-runs.mjs';
import { W1 } from '../plans.mjs';

/** Webhook -> transform -> answer. */
export async function measure(bench) {
  const aims = [
    { figure: 'runs_per_s', atLeast: 4_000 },
    { figure: 'cpu_ms', atMost: 0.45 },
  ];
  return await measureAnswered(bench, { plan: W1, aims });
}
