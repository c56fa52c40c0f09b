import { repeat, WIDE } from '../../measure.mjs';
import { openPlan, STEPS } from '../../plans.mjs';
import { openFill } from '../fill.mjs';

/** Indexes count as well; large values don't come up here. */
const TABLES = ['executions', 'execution_logs', 'execution_waits', 'execution_blobs', 'audit_log'];

/** Bytes that stay of runs of one and of three steps without effects, and what is written to the log for them. */
export async function* measure(bench, host) {
  await using fill = await openFill(host);
  const { storedRuns: count } = bench.options;
  for (const steps of [1, 3]) {
    const requests = await openPlan(host.api, planOf(steps), 'last_step');
    yield {
      name: `${count} runs of ${steps} ${steps === 1 ? 'step' : 'steps'}`,
      figures: await repeat(1, () => measureRuns({ bench, host, fill, requests, count })),
    };
  }
}

function planOf(steps) {
  const all = Array.from({ length: steps }, (_, n) => ({ ...STEPS.shape, id: `shape${n}` }));
  return { name: `${steps} steps`, steps: all };
}

async function measureRuns({ bench, host, fill, requests, count }) {
  const before = await fill.footprint(TABLES);
  const { result, cpuMs } = await bench
    .meterOf(host)
    .during(() => bench.load.run({ url: host.url, requests, connections: WIDE, count }));
  const after = await fill.footprint(TABLES);
  const grown = (name) => (after[name] - before[name]) / count;
  return {
    errors: result.errors,
    ...Object.fromEntries(TABLES.map((name) => [`${name}_bytes_per_run`, grown(name)])),
    wal_bytes_per_run: grown('wal'),
    commits_per_run: grown('commits'),
    host_ms_per_run: cpuMs.host / count,
    postgres_ms_per_run: cpuMs.postgres / count,
  };
}
