import { complainOf, repeat } from '../../measure.mjs';
import { STEPS } from '../../plans.mjs';
import { openFill } from '../fill.mjs';

/** The rest of those that a tenant has are made of the same plan: every filter but the owner's picks some. */
const RARE = {
  name: 'rare one',
  steps: [{ ...STEPS.compute, params: { source: 'return 1', input: {} } }],
};

/** Requests one after another, in a tenant with many plans, each with a schedule. */
export async function* measure(bench, host) {
  const { plans, calls } = bench.options;
  await using fill = await openFill(host);
  const owner = await fill.findCaller(host.api);
  const plan = await host.api.send('POST', '/api/plans', { name: 'first', steps: [STEPS.shape] });
  await fill.addPlans(plan, [owner], plans);
  await fill.addSchedules([owner]);
  await host.api.send('POST', '/api/plans', RARE);
  await fill.client.query('analyze');
  const since = new Date(Date.now() - 3_600_000).toISOString();
  const never = new Date(Date.now() + 3_600_000).toISOString();
  const ids = (
    await fill.client.query(`select id from plans where name like 'wide %' limit $1`, [calls])
  ).rows;
  const body = (at) => JSON.stringify({ name: `made ${at}`, steps: [STEPS.shape] });
  const list = (name, query) => ({
    name: `list 20 plans${name}`,
    aimMs: 200,
    request: () => ({ method: 'GET', path: `/api/plans?limit=20${query}` }),
  });
  const ways = [
    {
      name: 'create a plan',
      aimMs: 50,
      request: (at) => ({ path: '/api/plans', body: body(at), expects: { status: 201 } }),
    },
    {
      name: 'read a plan',
      aimMs: 20,
      request: (at) => ({ method: 'GET', path: `/api/plans/${ids[at].id}` }),
    },
    {
      name: 'update a plan',
      aimMs: 100,
      request: (at) => ({ method: 'PUT', path: `/api/plans/${ids[at].id}`, body: body(at) }),
    },
    list('', ''),
    list(', the last page', `&cursor=${encodeURIComponent(await lastCursor(fill))}`),
    list(' named alike', '&name=wide%2099'),
    list(' with a rare name', '&name=rare'),
    list(' with a common provider', '&provider=logic'),
    list(' with a rare provider', '&provider=code'),
    list(' with a schedule', '&scheduled=true'),
    list(' without one', '&scheduled=false'),
    list(' of an owner', `&owner=${owner.owner_id}`),
    list(' changed of late', `&updated_after=${since}`),
    list(' changed since a time to come', `&updated_after=${never}`),
    {
      name: 'list 20 schedules',
      aimMs: 200,
      request: () => ({ method: 'GET', path: '/api/scheduler/jobs?limit=20' }),
    },
    {
      name: 'list 100 schedules',
      aimMs: 200,
      request: () => ({ method: 'GET', path: '/api/scheduler/jobs?limit=100' }),
    },
    {
      name: 'delete a plan',
      aimMs: 50,
      request: (at) => ({ method: 'DELETE', path: `/api/plans/${ids[at].id}` }),
    },
  ];
  for (const { name, aimMs, request } of ways) {
    const figures = await repeat(1, () => measureCalls(bench, host, { calls, request }));
    yield { name, figures, aims: [{ figure: 'p95_ms', atMost: aimMs }] };
  }
}

async function measureCalls(bench, host, { calls, request }) {
  const requests = Array.from({ length: calls }, (_, at) => ({
    headers: { 'x-api-key': host.api.key },
    expects: { status: 200 },
    ...request(at),
  }));
  const { result, cpuMs } = await bench
    .meterOf(host)
    .during(() => bench.load.run({ url: host.url, requests, connections: 1, count: calls }));
  complainOf(result);
  return {
    p50_ms: result.p50,
    p95_ms: result.p95,
    errors: result.errors,
    host_ms: cpuMs.host / calls,
    postgres_ms: cpuMs.postgres / calls,
  };
}

/** Where the oldest plans are: as far from the newest as it gets. */
async function lastCursor(fill) {
  const { id } = await fill.row('select id from plans order by id offset 25 limit 1');
  return Buffer.from(id).toString('base64url');
}
