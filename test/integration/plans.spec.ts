import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { startTestHost, type TestHost } from '../support/test-host.js';

const HELLO = {
  name: 'hello',
  description: 'says hello',
  original_prompt: 'say hello',
  steps: [
    { id: 'greet', provider: 'logic', action: 'transform', params: { template: 'hi' } },
    {
      id: 'again',
      provider: 'logic',
      action: 'transform',
      params: { template: '${steps.greet.output}!' },
    },
  ],
};

describe('plans', () => {
  let host: TestHost;

  beforeAll(async () => {
    host = await startTestHost();
  });

  afterAll(async () => {
    await host.close();
  });

  const create = async (plan: unknown = HELLO) =>
    await host.send({ method: 'POST', path: '/api/plans', body: plan });

  it.each(['plans', 'execution-plans', 'workflows'])('are kept under /api/%s', async (family) => {
    const base = `/api/${family}`;
    const made = await host.send({ method: 'POST', path: base, body: HELLO });
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({ ...HELLO, version: 1, visibility: 'private' });
    const path = `${base}/${String(made.body.id)}`;
    expect((await host.send({ path })).body).toEqual(made.body);

    const changed = await host.send({ method: 'PUT', path, body: { ...HELLO, name: 'hello 2' } });
    expect(changed.body).toMatchObject({ name: 'hello 2', version: 2, description: 'says hello' });
    const versions = await host.send({ path: `${path}/versions` });
    expect(versions.body.versions.map((v: { version: number }) => v.version)).toEqual([2, 1]);
    expect(versions.body.versions[0].pins.greet).toMatchObject({
      version: '1.0.0',
      digest: expect.stringMatching(/^sha256-/),
    });

    expect((await host.send({ method: 'DELETE', path })).body).toEqual({ success: true });
    expect((await host.send({ path })).status).toBe(404);
    expect((await host.send({ method: 'DELETE', path })).status).toBe(404);
  });

  it('are the same under all three names', async () => {
    const { body } = await create();
    for (const family of ['plans', 'execution-plans', 'workflows']) {
      expect((await host.send({ path: `/api/${family}/${String(body.id)}` })).body.name).toBe(
        'hello',
      );
    }
  });

  it('guard against lost updates when asked to', async () => {
    const made = await create();
    const path = `/api/plans/${String(made.body.id)}`;
    expect(made.headers['etag']).toBe('"1"');
    const put = async (ifMatch: string) =>
      await host.send({
        method: 'PUT',
        path,
        body: { name: 'n' },
        headers: { 'if-match': ifMatch },
      });
    expect((await put('"1"')).status).toBe(200);
    expect(await put('"1"')).toMatchObject({ status: 412, body: { code: 'precondition.failed' } });
    expect((await put('*')).status).toBe(200);
    expect((await put('abc')).status).toBe(412);
    expect((await host.send({ method: 'PUT', path, body: {} })).status).toBe(400);
  });

  it('keep newer steps when somebody changes the name at the same time', async () => {
    const made = await create();
    const path = `/api/plans/${String(made.body.id)}`;
    const steps = [
      { id: 'newer', provider: 'logic', action: 'transform', params: { template: 'n' } },
    ];
    for (let i = 0; i < 5; i++) {
      await host.send({ method: 'PUT', path, body: { steps: HELLO.steps } });
      await Promise.all([
        host.send({ method: 'PUT', path, body: { steps } }),
        host.send({ method: 'PUT', path, body: { name: `renamed ${String(i)}` } }),
      ]);
      const { body } = await host.send({ path });
      expect(body).toMatchObject({ name: `renamed ${String(i)}`, steps });
    }
  });

  it('number their versions without gaps, however many write at once', async () => {
    const made = await create();
    const path = `/api/plans/${String(made.body.id)}`;
    const puts = Array.from({ length: 20 }, (_, i) =>
      host.send({ method: 'PUT', path, body: { name: String(i) } }),
    );
    expect(new Set((await Promise.all(puts)).map(({ status }) => status))).toEqual(new Set([200]));
    const { body } = await host.send({ path: `${path}/versions` });
    const versions = body.versions.map((one: { version: number }) => one.version);
    expect(versions).toEqual(Array.from({ length: 21 }, (_, i) => 21 - i));
  });

  it('page by cursor, newest first, and filter', async () => {
    const { api_key: key } = await host.createTenant('pages');
    const names = ['one', 'two', 'three'];
    for (const name of names)
      await host.send({ method: 'POST', path: '/api/plans', key, body: { ...HELLO, name } });
    const { body: two } = await host.send({ path: '/api/plans?name=two', key });
    const path = `/api/plans/${String(two.plans[0].id)}/schedule`;
    await host.send({ method: 'POST', path, key, body: { every_seconds: 3_600 } });
    const first = await host.send({ path: '/api/plans?limit=2', key });
    expect(first.body.plans.map((plan: { name: string }) => plan.name)).toEqual(['three', 'two']);
    const rest = await host.send({
      path: `/api/plans?limit=2&cursor=${String(first.body.next_cursor)}`,
      key,
    });
    expect(rest.body).toMatchObject({ plans: [{ name: 'one' }], next_cursor: null });
    for (const [query, expected] of [
      ['name=TW', ['two']],
      ['provider=logic', ['three', 'two', 'one']],
      ['provider=http', []],
      ['scheduled=true', ['two']],
      ['scheduled=false', ['three', 'one']],
      ['updated_after=2999-01-01T00:00:00Z', []],
      [`name=${encodeURIComponent("'; drop table plans; --")}`, []],
    ] as const) {
      const { body } = await host.send({ path: `/api/plans?${query}`, key });
      expect([query, body.plans.map((plan: { name: string }) => plan.name)]).toEqual([
        query,
        expected,
      ]);
    }
    expect((await host.send({ path: '/api/plans?cursor=rubbish', key })).status).toBe(400);
    expect((await host.send({ path: '/api/plans?limit=0', key })).body.errors[0].pointer).toBe(
      '/limit',
    );
  });

  it('may be drawn as nodes and edges, and are steps from then on', async () => {
    const data = (template: string) => ({
      provider: 'logic',
      action: 'transform',
      params: { template },
    });
    const nodes = [
      { id: '1', type: 'step', position: { x: 0, y: 0 }, data: data('a') },
      { id: 'b', data: data('${steps.node_1.output}b') },
    ];
    const drawn = { name: 'drawn', nodes, edges: [{ source: '1', target: 'b' }] };
    const created = await host.send({ method: 'POST', path: '/api/workflows', body: drawn });
    expect([created.status, created.body.steps]).toEqual([
      201,
      [
        { ...data('a'), id: 'node_1', depends_on: [] },
        { ...data('${steps.node_1.output}b'), id: 'b', depends_on: ['node_1'] },
      ],
    ]);
    const path = `/api/workflows/${String(created.body.id)}`;
    const run = await host.send({ method: 'POST', path: `${path}/execute`, body: { wait: 10 } });
    expect(run.body).toMatchObject({ status: 'success', output: 'ab' });
    const turned = { nodes, edges: [] };
    const updated = await host.send({ method: 'PUT', path, body: turned });
    expect([updated.status, updated.body.errors]).toEqual([
      400,
      [{ pointer: '/nodes/1/data/params/template', detail: expect.stringContaining('node_1') }],
    ]);
    const validated = await host.send({
      method: 'POST',
      path: '/api/plans/validate',
      body: {
        nodes: [{ ...nodes[0], data: { provider: 'logik', action: 'x' } }],
        edges: [{ source: '1' }],
      },
    });
    expect(validated.body.problems.map(({ pointer }: { pointer: string }) => pointer)).toEqual([
      '/edges/0/target',
      '/nodes/0/data/provider',
    ]);
  });

  it('report every problem at once, each with a pointer', async () => {
    const bad = {
      name: 'bad',
      steps: [
        { id: 'a', provider: 'logc', action: 'transform' },
        { id: 'a', provider: 'logic', action: 'nope' },
        {
          id: 'b',
          provider: 'http',
          action: 'request',
          params: { method: 'GET', url: 5, x: 1 },
          depends_on: ['c'],
        },
        {
          id: 'c',
          provider: 'logic',
          action: 'transform',
          params: { template: '${steps.zz.output}' },
          depends_on: ['b'],
        },
        {
          id: '7',
          provider: 'logic',
          action: 'transform',
          params: { template: 'x' },
          when: 'steps.a.output ==',
        },
      ],
    };
    const refused = await create(bad);
    expect(refused.status).toBe(400);
    expect(refused.headers['content-type']).toMatch(/^application\/problem\+json/);
    const pointers = refused.body.errors.map((error: { pointer: string }) => error.pointer);
    for (const pointer of [
      '/steps/0/provider',
      '/steps/1/id',
      '/steps/1/action',
      '/steps/2/params/url',
      '/steps/2/params/x',
      '/steps/3/params/template',
      '/steps/4/id',
      '/steps/4/when',
    ]) {
      expect(pointers).toContain(pointer);
    }
    expect(JSON.stringify(refused.body.errors)).toMatch(/wait for one another/);
    const validated = await host.send({ method: 'POST', path: '/api/plans/validate', body: bad });
    expect(validated.body).toEqual({ valid: false, problems: refused.body.errors });
    const good = await host.send({ method: 'POST', path: '/api/plans/validate', body: HELLO });
    expect(good).toMatchObject({ status: 200, body: { valid: true, problems: [] } });
  });

  it.each([
    [{ steps: [] }, '/name'],
    [{ name: 'x', steps: 'no' }, '/steps'],
    [{ name: 'x', steps: [], extra: 1 }, '/extra'],
    [{ name: 'x', steps: [], visibility: 'world' }, '/visibility'],
    [{ name: 'x', steps: [5] }, '/steps/0'],
    [{ name: '  ', steps: [] }, '/name'],
    [{ name: 'x', nodes: [], edges: [] }, '/nodes'],
  ])('refuse %j at %s', async (plan, pointer) => {
    const refused = await create(plan);
    expect(refused.status).toBe(400);
    expect(refused.body.errors.map((error: { pointer: string }) => error.pointer)).toContain(
      pointer,
    );
  });

  it.each([
    ['{"name": "x", "__proto__": {"a": 1}, "steps": []}', /__proto__/],
    ['{"name": ', /JSON/],
    ['{"name": "a\\u0000b", "steps": []}', /NUL/],
    [`{"name": "x", "steps": ${'['.repeat(100)}${']'.repeat(100)}}`, /nested deeper/],
  ])('refuse the body %s', async (text, reason) => {
    const response = await host.app.inject({
      method: 'POST',
      url: '/api/plans',
      headers: { 'x-api-key': host.operatorKey, 'content-type': 'application/json' },
      payload: text,
    });
    expect(response.statusCode).toBe(400);
    expect(response.json<{ detail: string }>().detail).toMatch(reason);
    expect(({} as Record<string, unknown>)['a']).toBeUndefined();
  });

  it.each([
    '/api/plans?name=a%00b',
    '/api/plans?updated_after=2024-02-30',
    '/api/plans?updated_after=2024-W10',
    '/api/plans?updated_after=2024',
    '/api/execution-logs?from=2024-02-30T00:00:00Z',
    '/api/execution-logs?to=-0001-01-01',
    '/api/plans/%',
    '/api/plans?limit=1&limit=2',
  ])('answer %s as bad input', async (path) => {
    const answer = await host.send({ path });
    expect(answer.status).toBe(400);
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
    expect(answer.body.code).toBe('request.invalid');
  });

  it('answer an unknown path, a wrong media type and a huge body as problems', async () => {
    expect(await host.send({ path: '/api/nothing' })).toMatchObject({
      status: 404,
      body: { code: 'request.not_found' },
    });
    const text = await host.app.inject({
      method: 'POST',
      url: '/api/plans',
      headers: { 'x-api-key': host.operatorKey, 'content-type': 'text/plain' },
      payload: 'x',
    });
    expect(text.statusCode).toBe(415);
    const huge = await create({ name: 'x', steps: [], description: 'x'.repeat(1_100_000) });
    expect(huge).toMatchObject({ status: 413, body: { code: 'request.too_large' } });
  });
});
