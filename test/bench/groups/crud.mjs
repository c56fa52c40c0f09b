import { complainOf, repeat } from '../measure.mjs';
import { STEPS } from '../plans.mjs';

/** Plans and credentials, one request after another; the aims are held against the 95th of a hundred. */
export async function measure(bench) {
  const host = await bench.host();
  const rows = [];
  for (const { name, aimMs, requests } of await plansOf(bench, host)) {
    rows.push(await measureCalls(bench, host, { name, aimMs, requests: await requests() }));
  }
  for (const { name, aimMs, requests } of credentialsOf(bench)) {
    rows.push(await measureCalls(bench, host, { name, aimMs, requests: requests() }));
  }
  return rows;
}

/** Made once and deleted once, so that there is one repetition, of many calls. */
async function measureCalls(bench, host, { name, aimMs, requests }) {
  const figures = await repeat(1, async () => {
    const result = await bench.load.run({
      url: host.url,
      requests: requests.map((request) => ({ ...request, headers: { 'x-api-key': host.api.key } })),
      connections: 1,
      count: requests.length,
    });
    complainOf(result);
    return { p50_ms: result.p50, p95_ms: result.p95, errors: result.errors };
  });
  return { name, figures, aims: [{ figure: 'p95_ms', atMost: aimMs }] };
}

async function plansOf({ options }, { api }) {
  const count = options.crudCalls;
  const body = (at) => JSON.stringify({ name: `crud ${at}`, steps: [STEPS.shape] });
  const each = (make) => Array.from({ length: count }, (_, at) => make(at));
  let ids = [];
  const ofEach = (request) => async () => {
    if (ids.length === 0) ids = await listIds(api, count);
    return ids.map((id, at) => ({
      path: `/api/plans/${id}`,
      ...request(at),
      expects: { status: 200 },
    }));
  };
  return [
    {
      name: 'create a plan',
      aimMs: 50,
      requests: () =>
        each((at) => ({ path: '/api/plans', body: body(at), expects: { status: 201 } })),
    },
    { name: 'read a plan', aimMs: 20, requests: ofEach(() => ({ method: 'GET' })) },
    {
      name: 'update a plan',
      aimMs: 100,
      requests: ofEach((at) => ({ method: 'PUT', body: body(`${at} again`) })),
    },
    {
      name: 'list 20 plans',
      aimMs: 200,
      requests: () =>
        each(() => ({ method: 'GET', path: '/api/plans?limit=20', expects: { status: 200 } })),
    },
    { name: 'delete a plan', aimMs: 50, requests: ofEach(() => ({ method: 'DELETE' })) },
  ];
}

async function listIds(api, count) {
  const ids = [];
  for (let cursor = ''; cursor !== null && ids.length < count;) {
    const page = await api.send('GET', `/api/plans?limit=100&name=crud${cursor}`);
    ids.push(...page.plans.filter(({ name }) => name.startsWith('crud ')).map(({ id }) => id));
    cursor = page.next_cursor && `&cursor=${encodeURIComponent(page.next_cursor)}`;
  }
  return ids.slice(0, count);
}

function credentialsOf({ options }) {
  const each = (make) => () =>
    Array.from({ length: options.crudCalls }, (_, at) => ({
      path: '/api/provider-credentials/openai',
      expects: { status: 200 },
      ...make(at),
    }));
  const store = (at, key) => JSON.stringify({ name: `crud-${at}`, credentials: { api_key: key } });
  const named = (method) => (at) => ({
    method,
    path: `/api/provider-credentials/openai?name=crud-${at}`,
  });
  return [
    {
      name: 'create a credential',
      aimMs: 100,
      requests: each((at) => ({ body: store(at, 'sk-first') })),
    },
    { name: 'read a credential', aimMs: 50, requests: each(named('GET')) },
    {
      name: 'update a credential',
      aimMs: 150,
      requests: each((at) => ({ method: 'PUT', body: store(at, 'sk-second') })),
    },
    { name: 'delete a credential', aimMs: 50, requests: each(named('DELETE')) },
  ];
}
