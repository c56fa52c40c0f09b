import { withClient } from '../database/versions.mjs';
import { repeat, runLoad } from '../measure.mjs';
import { openPlan, W1 } from '../plans.mjs';

const CONCURRENT = 100;

/**
 * From a run's acceptance to the start of its first step, out of stored rows. Both beginnings are of this
 * machine's clock: the run's id (a UUIDv7, in milliseconds, so up to one too long) was made when the request had
 * been understood, `created_at` is when the transaction that stored the run began. A step without effects
 * may start before that, so the second may be negative, and the first is held against the aim.
 */
export async function measure(bench) {
  const host = await bench.host();
  const requests = await openPlan(host.api, { ...W1, name: 'start' }, 'last_step');
  const figures = await repeat(bench.options.repetitions, async () => {
    const beganAt = Date.now();
    const { runs_per_s, errors } = await runLoad(bench, host, {
      ...{ requests, connections: CONCURRENT, seconds: bench.options.seconds },
    });
    return { ...(await readLatencies(host, beganAt)), runs_per_s, errors };
  });
  return [
    {
      name: `accept -> step start, ${CONCURRENT} at once`,
      figures,
      aims: [{ figure: 'request_to_start_p99_ms', atMost: 10 }],
    },
  ];
}

async function readLatencies(host, beganAt) {
  const { rows } = await withClient(host.databaseUrl, (client) =>
    client.query(
      `select percentile_cont(array[0.5, 0.99]) within group (order by ${ms('l.started_at - e.created_at')})
                as stored,
              percentile_cont(array[0.5, 0.99])
                within group (order by ${ms('l.started_at - uuid_extract_timestamp(e.id)')}) as understood
         from executions e
         join execution_logs l on l.tenant_id = e.tenant_id and l.execution_id = e.id
        where e.created_at >= to_timestamp($1::float8 / 1000) and l.step_id = 'shape' and l.attempt = 1`,
      [beganAt],
    ),
  );
  const [{ stored, understood }] = rows;
  return {
    stored_to_start_p50_ms: stored[0],
    stored_to_start_p99_ms: stored[1],
    request_to_start_p50_ms: understood[0],
    request_to_start_p99_ms: understood[1],
  };
}

function ms(interval) {
  return `extract(epoch from ${interval})::float8 * 1000`;
}
