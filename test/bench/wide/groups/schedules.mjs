import { setTimeout as delay } from 'node:timers/promises';

import { repeat } from '../../measure.mjs';
import { openFill } from '../fill.mjs';

const PATIENCE_MS = 300_000;
const POLL_MS = 50;
const PLAN = {
  name: 'first',
  steps: [{ id: 'shape', provider: 'logic', action: 'transform', params: { value: { n: 1 } } }],
};

/** All schedules come due at the same moment: of one tenant, and of as many tenants as there are schedules. */
export async function* measure(bench, host) {
  const { plans, tenants } = bench.options;
  await using fill = await openFill(host);
  const plan = await host.api.send('POST', '/api/plans', PLAN);
  const owners = [await fill.findCaller(host.api)];
  await fill.addPlans(plan, owners, plans);
  await fill.addSchedules(owners);
  await fill.client.query('analyze');
  yield {
    name: `${plans} schedules of one tenant`,
    figures: await repeat(1, () => fireAll({ bench, host, fill, count: plans })),
    aims: [{ figure: 'all_fired_s', atMost: 2 }],
  };
  await fill.removeSchedules();
  const others = await fill.addTenants(tenants);
  await fill.addPlans(plan, others, 1);
  await fill.addSchedules(others);
  await fill.client.query('analyze');
  yield {
    name: `${tenants} schedules of ${tenants} tenants`,
    figures: await repeat(1, () => fireAll({ bench, host, fill, count: tenants })),
    aims: [{ figure: 'all_fired_s', atMost: 2 }],
  };
}

/** Seconds from when they are due until the fires of all can be seen, and until the last run has ended. */
async function fireAll({ bench, host, fill, count }) {
  const { at } = await fill.makeDue();
  const meter = bench.meterOf(host);
  const { result, cpuMs } = await meter.during(() =>
    waitFor(
      () => fill.firesSince(at),
      ({ fired }) => fired >= count,
    ),
  );
  const done = await waitFor(
    () => fill.firesSince(at),
    ({ ended }) => ended >= count,
  );
  return {
    first_fired_s: result.first_s,
    all_fired_s: result.now_s,
    host_ms_per_fire: cpuMs.host / count,
    postgres_ms_per_fire: cpuMs.postgres / count,
    all_ended_s: done.ended_s,
  };
}

async function waitFor(look, isDone) {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const seen = await look();
    if (isDone(seen)) return seen;
    if (performance.now() > deadline) throw new Error(`it took too long: ${JSON.stringify(seen)}`);
    await delay(POLL_MS);
  }
}
