import { setTimeout as delay } from 'node:timers/promises';

import { repeat } from '../../measure.mjs';
import { STEPS } from '../../plans.mjs';
import { quantilesOf } from '../../statistics.mjs';
import { openFill } from '../fill.mjs';

const POLL_MS = 10;
const PATIENCE_MS = 60_000;
const PLAN = {
  name: 'one call',
  steps: [{ ...STEPS.compute, params: { source: 'return 1', input: {} } }],
};
/** Without a sandbox: of a thousand tenants that run code each would need a child of its own. */
const DATA_PLAN = {
  name: 'one transform',
  steps: [{ id: 'shape', provider: 'logic', action: 'transform', params: { value: { n: 1 } } }],
};
const AIM = [{ figure: 'to_first_step_max_ms', atMost: 1_000 }];

/** A tenant starts single runs, one after the other, each of a plan of its own; others have long queues. */
export async function* measure(bench, host) {
  const { queuedRuns, queuedTenants, singleRuns } = bench.options;
  await using fill = await openFill(host);
  const crowd = await addTenant(host.api, 'crowd');
  const lone = await addTenant(host.api, 'lone');
  const plan = await crowd.api.send('POST', '/api/plans', PLAN);
  const plans = [];
  for (let n = 0; n < singleRuns; n++) plans.push(await lone.api.send('POST', '/api/plans', PLAN));
  const context = { bench, host, fill, api: lone.api, plans };
  const share = (body) => host.api.send('PUT', `/api/admin/tenants/${crowd.id}/limits`, body);
  const one = [await fill.findCaller(crowd.api)];

  await startAll(context);
  yield { name: 'nobody else has runs', figures: await beside(context, null) };
  for (const [name, body] of [
    ['weight 10', {}],
    ['weight 100', { weight: 100 }],
    ['at most 5 running', { max_running: 5 }],
  ]) {
    await share(body);
    const queue = { owners: one, plan, count: queuedRuns };
    yield {
      name: `${queuedRuns} runs of one tenant, ${name}`,
      figures: await beside(context, queue),
      aims: AIM,
    };
  }
  const owners = await fill.addTenants(queuedTenants);
  const dataPlan = await crowd.api.send('POST', '/api/plans', DATA_PLAN);
  const queue = { owners, plan: dataPlan, count: queuedRuns / queuedTenants };
  yield {
    name: `${queuedRuns} runs of ${queuedTenants} tenants`,
    figures: await beside(context, queue),
    aims: AIM,
  };
}

async function addTenant(api, name) {
  const { id, api_key: key } = await api.send('POST', '/api/admin/tenants', { name });
  return { id, api: api.as(key) };
}

async function beside(context, queue) {
  const { bench, host, fill } = context;
  return await repeat(1, async () => {
    if (queue) {
      await fill.queueRuns(queue.plan, queue.owners, queue.count);
      await begun(fill);
    }
    const ended = await fill.countEnded();
    const began = performance.now();
    const { result, cpuMs } = await bench.meterOf(host).during(() => startAll(context));
    const seconds = (performance.now() - began) / 1_000;
    const runs = (await fill.countEnded()) - ended;
    const left = queue ? await fill.clearQueue() : 0;
    await drained(fill);
    return {
      ...result,
      ...(queue && { still_queued: left }),
      runs_per_s: runs / seconds,
      host_ms: cpuMs.host / runs,
      children_ms: cpuMs.children / runs,
      postgres_ms: cpuMs.postgres / runs,
    };
  });
}

/** Milliseconds of the requests, and from their arrival to the first step and to the end. */
async function startAll({ fill, api, plans }) {
  const accepts = [];
  const firsts = [];
  const ends = [];
  for (const { id } of plans) {
    const began = performance.now();
    const run = await api.send('POST', `/api/plans/${id}/execute`, {});
    accepts.push(performance.now() - began);
    const { first, end } = await endOf(fill, run.id);
    firsts.push(first);
    ends.push(end);
  }
  const [accept, first, end] = [accepts, firsts, ends].map(quantilesOf);
  return {
    accept_p50_ms: accept.p50,
    accept_max_ms: accept.max,
    to_first_step_p50_ms: first.p50,
    to_first_step_max_ms: first.max,
    to_end_p50_ms: end.p50,
    to_end_max_ms: end.max,
  };
}

/** The id of a run tells when the request was understood, by the same clock as its rows. */
async function endOf(fill, id) {
  return await poll(() =>
    fill.row(
      `select extract(epoch from l.started_at - uuid_extract_timestamp(e.id))::float8 * 1000 as first,
              extract(epoch from e.finished_at - uuid_extract_timestamp(e.id))::float8 * 1000 as end
         from executions e join execution_logs l on l.tenant_id = e.tenant_id and l.execution_id = e.id
        where e.id = $1 and e.finished_at is not null`,
      [id],
    ),
  );
}

async function begun(fill) {
  await poll(async () => ((await fill.countRunning()) > 0 ? true : null));
}

async function drained(fill) {
  await poll(async () => ((await fill.countRunning()) === 0 ? true : null));
}

async function poll(look) {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (performance.now() > deadline) throw new Error('what the bench waits for did not happen');
    await delay(POLL_MS);
  }
}
