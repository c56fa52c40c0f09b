import { setTimeout as delay } from 'node:timers/promises';

import { withClient } from './database/versions.mjs';
import { complainOf, cpuPer } from './measure.mjs';

const PAUSE_MS = 20;
const PATIENCE_MS = 120_000;

/**
 * Starts runs that are acknowledged at once and each call the target, and waits for the end of all.
 * Rate and times are from the first request to when the last run ended, as its row says.
 */
export async function runInBackground(bench, host, job) {
  await bench.target.reset();
  return await withClient(host.databaseUrl, async (client) => {
    const { result, cpuMs } = await bench.meterOf(host).during(async () => {
      const load = await bench.load.run({ url: host.url, ...job });
      // Asking the database costs it time, so it is asked when there is little left to do.
      await bench.target.reaches({ hits: load.done - load.errors });
      return { load, ...(await waitForEnd(client, load.beganAt)) };
    });
    const { load, endedAt, failed } = result;
    complainOf(load);
    if (failed > 0) console.error(`${failed} of the runs ended in error`);
    return {
      runs_per_s: load.done / ((endedAt - load.beganAt) / 1_000),
      acks_per_s: load.done / (load.tookMs / 1_000),
      p50_ms: load.p50,
      p99_ms: load.p99,
      errors: load.errors + failed,
      ...cpuPer(load.done, cpuMs),
    };
  });
}

/** The database and the bench read the same clock: they are on one machine. */
export async function waitForEnd(client, beganAt) {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const { rows } = await client.query(
      `select count(*) filter (where finished_at is null)::int as left,
              count(*) filter (where status = 'error')::int as failed,
              extract(epoch from max(finished_at)) * 1000 as ended_at
         from executions where created_at >= to_timestamp($1::float8 / 1000)`,
      [beganAt],
    );
    const [{ left, failed, ended_at: endedAt }] = rows;
    if (left === 0) return { endedAt: Number(endedAt), failed };
    if (performance.now() > deadline) throw new Error(`${left} runs have not ended`);
    await delay(PAUSE_MS);
  }
}
