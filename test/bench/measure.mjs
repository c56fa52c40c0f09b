import { spreadOf } from './statistics.mjs';

/** Where the most is to be reached: as many requests at once. */
export const WIDE = 50;

/** Measures several times, and tells median, least and most of each figure. */
export async function repeat(times, measure) {
  const measured = [];
  for (let n = 0; n < times; n++) measured.push(await measure());
  return spreadOf(measured);
}

/**
 * Requests from the load generator to a host.
 * @param job see load-process.mjs; with `perSecond`, latencies count from when each was due
 */
export async function runLoad(bench, host, job) {
  const { result, cpuMs } = await bench
    .meterOf(host)
    .during(() => bench.load.run({ url: host.url, ...job }));
  complainOf(result);
  return {
    runs_per_s: result.done / (result.tookMs / 1_000),
    p50_ms: result.p50,
    p99_ms: result.p99,
    errors: result.errors,
    ...cpuPer(result.done, cpuMs),
  };
}

/** CPU milliseconds for each run, by who spent them; `cpu_ms` is host, children and PostgreSQL together. */
export function cpuPer(runs, cpuMs) {
  const { host, children, postgres, load, target } = cpuMs;
  return {
    cpu_ms: (host + children + postgres) / runs,
    host_ms: host / runs,
    children_ms: children / runs,
    postgres_ms: postgres / runs,
    load_ms: load / runs,
    target_ms: target / runs,
  };
}

/** What went wrong is news, whatever is printed. */
export function complainOf({ errors, complaints }) {
  if (errors > 0) console.error(`${errors} errors, such as: ${complaints.join('\n')}`);
}
