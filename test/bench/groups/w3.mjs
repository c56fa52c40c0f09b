import { runInBackground } from '../background-runs.mjs';
import { repeat, WIDE } from '../measure.mjs';
import { openPlan, w2 } from '../plans.mjs';

const AIMED_PER_S = 900;

/** The plan of W2, acknowledged at once; from the first request to the end of the last run. */
export async function measure(bench) {
  const { options } = bench;
  const host = await bench.host();
  const requests = await openPlan(host.api, { ...w2(bench.target.url), name: 'W3' }, 'ack');
  // As many as the aim would do in the time of a repetition: what is accepted faster would only queue.
  const count = Math.ceil(AIMED_PER_S * options.seconds);
  const measureAt = (connections, seconds) =>
    runInBackground(bench, host, { requests, connections, seconds, count });
  const aims = [
    { figure: 'runs_per_s', atLeast: AIMED_PER_S },
    { figure: 'cpu_ms', atMost: 1.9 },
  ];
  await measureAt(10, options.warmUpSeconds);
  const rows = [];
  for (const connections of options.connections) {
    const figures = await repeat(options.repetitions, () =>
      measureAt(connections, options.seconds),
    );
    rows.push({
      name: `W3, ${connections} at once`,
      figures,
      aims: connections === WIDE ? aims : [],
    });
  }
  return rows;
}
