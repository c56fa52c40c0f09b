import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { eventually } from '../support/eventually.js';
import { cloneDatabase, type TestDatabase } from '../support/test-database.js';
import { startTestHost, type Answer, type Member, type TestHost } from '../support/test-host.js';

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

const echo = (value: unknown): object[] => [
  { provider: 'logic', action: 'transform', params: { value } },
];
const STEPS = echo('${input.n}');

describe('webhooks', () => {
  let database: TestDatabase;
  let host: TestHost;
  let admin: string;
  let member: Member;
  let viewer: Member;

  beforeAll(async () => {
    database = await cloneDatabase();
    host = await startTestHost({ database, env: { STEPWELL_PUBLIC_URL: 'https://hooks.test' } });
    admin = (await host.createTenant('a')).api_key;
    member = await host.createUser({ adminKey: admin });
    viewer = await host.createUser({ adminKey: admin, role: 'viewer' });
  });

  afterAll(async () => {
    await host.close();
    await database.drop();
  });

  const send = (method: Method, path: string, body?: unknown, key = admin): Promise<Answer> =>
    host.send({ method, path, key, ...(body === undefined ? {} : { body }) });
  const makePlan = async (plan: object = {}, key = admin): Promise<string> => {
    const answer = await send('POST', '/api/plans', { name: 'p', steps: STEPS, ...plan }, key);
    expect([answer.status, answer.body.errors]).toEqual([201, undefined]);
    return answer.body.id as string;
  };
  const makeWebhook = async (
    planId: string,
    body: object = {},
    key = admin,
  ): Promise<{ id: string; path: string }> => {
    const answer = await send('POST', `/api/plans/${planId}/webhooks`, body, key);
    expect([answer.status, answer.body.detail]).toEqual([201, undefined]);
    return answer.body;
  };
  /** A plan with such steps and its webhook, which answers with the output; the path. */
  const makeAnswering = async (steps: object[], plan: object = {}): Promise<string> => {
    const planId = await makePlan({ ...plan, steps });
    return (await makeWebhook(planId, { respond: 'last_step' })).path;
  };
  /** As a stranger calls it. */
  const call = (
    path: string,
    request: { method?: Method; body?: unknown; headers?: Record<string, string> } = {},
  ): Promise<Answer> =>
    host.send({ method: 'POST', ...request, path: `/api/webhook/${path}`, key: null });
  const webhooksOf = async (planId: string, key = admin): Promise<Answer['body'][]> =>
    (await send('GET', `/api/plans/${planId}/webhooks`, undefined, key)).body.webhooks;
  const runsOf = async (planId: string): Promise<Answer['body'][]> =>
    (await send('GET', `/api/executions?plan_id=${planId}&limit=200`)).body.executions;
  const finished = async (id: unknown): Promise<Answer['body']> =>
    await eventually('the end of the run', async () => {
      const { body } = await send('GET', `/api/executions/${String(id)}`);
      return ['success', 'error', 'cancelled'].includes(body.status as string) && body;
    });

  describe('through the API', () => {
    it('are made, listed and deleted, under all three names', async () => {
      const planId = await makePlan();
      const base = `/api/plans/${planId}/webhooks`;
      expect((await send('GET', base)).body).toEqual({ webhooks: [], next_cursor: null });
      const made = await send('POST', base, { path: 'shop/orders', respond: 'last_step' });
      expect([made.status, made.headers['cache-control']]).toEqual([201, 'no-store']);
      expect(made.body).toEqual({
        id: expect.any(String),
        plan_id: planId,
        path: 'shop/orders',
        url: 'https://hooks.test/api/webhook/shop/orders',
        respond: 'last_step',
        run_as: expect.any(String),
        status: 'active',
        error: null,
        created_at: expect.stringMatching(/^20.*Z$/),
      });
      const second = await send('POST', `/api/workflows/${planId}/webhooks`, {});
      expect(second.body).toMatchObject({ respond: 'ack' });
      expect(second.body.path).toMatch(/^[\w-]{32}$/);
      for (const name of ['plans', 'execution-plans', 'workflows']) {
        const first = await send('GET', `/api/${name}/${planId}/webhooks?limit=1`);
        expect(first.body.webhooks).toEqual([second.body]);
        const cursor = String(first.body.next_cursor);
        const rest = await send('GET', `/api/${name}/${planId}/webhooks?cursor=${cursor}`);
        expect(rest.body).toEqual({ webhooks: [made.body], next_cursor: null });
      }
      const one = `${base}/${String(made.body.id)}`;
      expect((await send('DELETE', one)).body).toEqual({ success: true });
      expect((await send('DELETE', one)).status).toBe(404);
      expect(await webhooksOf(planId)).toEqual([second.body]);
      const { events } = (await send('GET', '/api/audit-log?limit=20')).body;
      const told = (events as Answer['body'][]).filter(
        ({ subject }) => subject?.id === made.body.id,
      );
      expect(told).toMatchObject([
        { action: 'webhook.deleted', details: { plan_id: planId } },
        { action: 'webhook.created', details: { plan_id: planId } },
      ]);
    });

    it('take no path that is none, nothing unknown, and nothing that nobody checks yet', async () => {
      const planId = await makePlan();
      for (const [body, pointer] of [
        [{ path: '' }, '/path'],
        [{ path: '/a' }, '/path'],
        [{ path: 'a/../b' }, '/path'],
        [{ path: 'ä' }, '/path'],
        [{ path: 'x'.repeat(201) }, '/path'],
        [{ path: 7 }, '/path'],
        [{ respond: 'later' }, '/respond'],
        [{ verify: { kind: 'hmac' } }, '/verify'],
        [{ verify: null }, '/verify'],
        [{ owner_id: planId }, '/owner_id'],
      ] as const) {
        const answer = await send('POST', `/api/plans/${planId}/webhooks`, body);
        expect([body, answer.status]).toEqual([body, 400]);
        expect([body, answer.body.errors[0].pointer]).toEqual([body, pointer]);
      }
      const unverified = await send('POST', `/api/plans/${planId}/webhooks`, { verify: {} });
      expect(unverified.body.detail).toMatch(/^verify: verify isn't supported yet/);
      expect(await webhooksOf(planId)).toEqual([]);
    });

    it('have paths that are taken once in the whole installation, without telling by whom', async () => {
      const other = (await host.createTenant('taken')).api_key;
      const mine = await makePlan();
      const { id } = await makeWebhook(mine, { path: 'taken' });
      const theirs = await makePlan({}, other);
      const make = (): Promise<Answer> =>
        send('POST', `/api/plans/${theirs}/webhooks`, { path: 'taken' }, other);
      const refused = await make();
      expect([refused.status, refused.body.code]).toEqual([409, 'state.conflict']);
      const shown = JSON.stringify(refused.body);
      expect([shown.includes(mine), shown.includes(id)]).toEqual([false, false]);
      await send('DELETE', `/api/plans/${mine}/webhooks/${id}`);
      expect((await make()).status).toBe(201);
    });

    it("are the plan's owner's and the admins' to make, to know and to delete", async () => {
      const planId = await makePlan({ visibility: 'tenant' }, member.key);
      const base = `/api/plans/${planId}/webhooks`;
      const { id } = await makeWebhook(planId, {}, member.key);
      const colleague = await host.createUser({ adminKey: admin });
      for (const key of [colleague.key, viewer.key]) {
        expect((await send('POST', base, {}, key)).status).toBe(403);
        expect((await send('DELETE', `${base}/${id}`, undefined, key)).status).toBe(403);
        // Or everybody who may read the plan could make it run as its owner.
        const seen = await webhooksOf(planId, key);
        expect(seen).toMatchObject([{ id, path: null, url: null, run_as: member.id }]);
      }
      const byAdmin = await makeWebhook(planId);
      expect((await webhooksOf(planId, member.key)).map(({ path }) => path)).toContain(
        byAdmin.path,
      );
      const key = { role: 'user' as const, adminKey: admin };
      const writer = await host.createUser({ ...key, permissions: ['plan.read', 'plan.write'] });
      const own = await makePlan({}, writer.key);
      await makeWebhook(own);
      expect((await webhooksOf(own, writer.key))[0]).toMatchObject({ path: null, url: null });
      const refused = await send('POST', `/api/plans/${own}/webhooks`, {}, writer.key);
      expect([refused.status, refused.body.detail]).toEqual([
        403,
        expect.stringContaining('plan.execute'),
      ]);
      const other = (await host.createTenant('stranger')).api_key;
      for (const [method, path] of [
        ['POST', base],
        ['GET', base],
        ['DELETE', `${base}/${id}`],
      ] as const) {
        const body = method === 'POST' ? {} : undefined;
        expect([method, (await send(method, path, body, other)).status]).toEqual([method, 404]);
      }
    });
  });

  describe('that are called', () => {
    it('answer at once, when the run is stored', async () => {
      const planId = await makePlan({}, member.key);
      const { path } = await makeWebhook(planId, {}, member.key);
      const answer = await call(path, { body: { n: 1 } });
      const { id } = answer.body;
      expect([answer.status, answer.body]).toEqual([
        202,
        { id: expect.any(String), status: 'running' },
      ]);
      expect(answer.headers['location']).toBe(`/api/executions/${String(id)}`);
      expect(await finished(id)).toMatchObject({
        ...{ plan_id: planId, plan_version: 1, trigger: 'webhook', owner_id: member.id },
        ...{ status: 'success', input: { n: 1 }, output: 1, visibility: 'private' },
      });
    });

    it.each([{ a: [1, { b: null }] }, 'text', 7, null, [1]])(
      'answer with the output, whatever JSON it is: %j',
      async (value) => {
        const path = await makeAnswering(STEPS);
        const answer = await call(path, { body: { n: value } });
        expect([answer.status, answer.body]).toEqual([200, value]);
        expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
        expect(answer.headers['location']).toMatch(/^\/api\/executions\/[0-9a-f-]{36}$/);
      },
    );

    it('answer with a large output as well', async () => {
      const path = await makeAnswering(STEPS);
      const n = 'x'.repeat(200_000);
      const answer = await call(path, { body: { n } });
      expect([answer.status, answer.body === n]).toEqual([200, true]);
    });

    it('say what failed, and no more', async () => {
      const path = await makeAnswering(echo('${input.missing}'));
      const answer = await call(path, { body: {} });
      expect(answer.status).toBe(500);
      expect(answer.headers['content-type']).toMatch('application/problem+json');
      expect(answer.body).toMatchObject({
        code: 'execution.failed',
        error: { code: 'reference.missing' },
      });
      expect(Object.keys(answer.body.error as object)).toEqual(['code']);
      expect((await finished(answer.body.execution_id)).status).toBe('error');
    });

    it('say that the run was cancelled', async () => {
      const planId = await makePlan({ steps: [{ provider: 'wait', action: 'callback' }] });
      const { path } = await makeWebhook(planId, { respond: 'last_step' });
      const answer = call(path);
      const run = await eventually('the run', async () => (await runsOf(planId))[0]);
      expect((await send('POST', `/api/executions/${String(run.id)}/cancel`)).status).toBe(200);
      expect((await answer).body).toMatchObject({
        ...{ status: 500, code: 'execution.cancelled', execution_id: run.id, error: null },
      });
    });

    it('hand on what they were sent, without secrets', async () => {
      const path = await makeAnswering(echo({ trigger: '${trigger}', input: '${input}' }));
      const headers = { cookie: 'token=x', authorization: 'Bearer x', 'X-Event': 'Push' };
      const posted = await call(`${path}?a=1&b=2&b=%C3%A4`, { body: { x: 1 }, headers });
      expect(posted.body).toEqual({
        input: { x: 1 },
        trigger: {
          method: 'POST',
          query: { a: '1', b: ['2', 'ä'] },
          headers: expect.objectContaining({ 'x-event': 'Push' }),
          body: { x: 1 },
        },
      });
      const names = Object.keys(posted.body.trigger.headers as object);
      expect(names).toEqual(expect.arrayContaining(['content-type', 'host']));
      expect(names.filter((name) => /cookie|auth|key/.test(name))).toEqual([]);
      const put = await call(path, { method: 'PUT', body: [1] });
      expect(put.body).toMatchObject({ input: [1], trigger: { method: 'PUT', body: [1] } });
      const got = await call(`${path}?n=2`, { method: 'GET' });
      expect(got.body).toMatchObject({
        input: { n: '2' },
        trigger: { method: 'GET', query: { n: '2' }, body: null },
      });
      const empty = await call(path);
      expect(empty.body).toMatchObject({ input: {}, trigger: { body: null } });
    });

    it('take forms and text, and say what they take', async () => {
      const path = await makeAnswering(echo('${trigger.body}'));
      const as = (type: string, body: string): Promise<Answer> =>
        call(path, { body, headers: { 'content-type': type } });
      const form = 'application/x-www-form-urlencoded';
      for (const [type, text, body] of [
        [form, 'a=1&b=x+y&b=%C3%A4&c', { a: '1', b: ['x y', 'ä'], c: '' }],
        [`${form}; charset=UTF-8`, 'a=1', { a: '1' }],
        ['text/plain', 'hallo ä', 'hallo ä'],
        ['text/xml; charset=utf-8', '<a/>', '<a/>'],
        ['application/json', '{"a":1}', { a: 1 }],
        ['application/json', '"a"', 'a'],
        [form, '', null],
        ['text/plain', '', null],
        ['application/json', '', null],
        ['application/octet-stream', '', null],
      ] as const) {
        const answer = await as(type, text);
        expect([type, text, answer.status, answer.body]).toEqual([type, text, 200, body]);
      }
      for (const [type, text, status] of [
        ['application/octet-stream', 'x', 415],
        ['multipart/form-data; boundary=x', '--x--', 415],
        ['application/json', '{', 400],
        ['application/json', '{"__proto__":1}', 400],
        ['application/json', '"\\u0000"', 400],
        ['text/plain', 'a\0b', 400],
        [form, 'a=%00', 400],
        [form, '__proto__=1', 400],
        [form, 'a&'.repeat(500_000), 413],
        [form, `a=${'x'.repeat(1024 * 1024)}`, 413],
        ['text/plain', 'x'.repeat(1024 * 1024 + 1), 413],
      ] as const) {
        const answer = await as(type, text);
        expect([type, answer.status]).toEqual([type, status]);
        expect(answer.headers['content-type']).toMatch('application/problem+json');
        expect(answer.body.request_id).toMatch(/^[0-9a-f-]{36}$/);
      }
      expect((await as('image/png', 'x')).body).toMatchObject({
        code: 'request.unsupported',
        detail: expect.stringContaining('application/x-www-form-urlencoded'),
      });
      expect((await call(`${path}?__proto__=1`)).status).toBe(400);
      expect((await call(`${path}?a=%00`)).status).toBe(400);
      // They are for webhooks alone.
      const elsewhere = await host.send({
        ...{ method: 'POST', path: '/api/plans', key: admin, body: 'a=1' },
        headers: { 'content-type': form },
      });
      expect(elsewhere.status).toBe(415);
    });

    it('begin nothing for HEAD and DELETE, nor at paths that nobody has', async () => {
      const planId = await makePlan();
      const { path } = await makeWebhook(planId, { path: 'a/b' });
      for (const method of ['HEAD', 'DELETE', 'PATCH', 'OPTIONS'] as const) {
        const { statusCode } = await host.app.inject({ method, url: `/api/webhook/${path}` });
        expect([method, statusCode]).toEqual([method, 404]);
      }
      for (const one of ['', 'a', 'a/', 'a/b/', 'a//b', 'A/B', 'a/b/c', '%', 'x'.repeat(300)]) {
        const answer = await call(one);
        expect([one, answer.status]).toEqual([one, one === '%' ? 400 : 404]);
      }
      expect(await runsOf(planId)).toEqual([]);
      expect((await call('a%2fb')).status).toBe(202); // the same address, written another way
    });

    it('are answered by no cache', async () => {
      const path = await makeAnswering(STEPS);
      for (const [one, status] of [
        [`${path}?n=1`, 200],
        [path, 500],
        ['nobody-has-this', 404],
      ] as const) {
        const answer = await call(one, { method: 'GET' });
        expect([answer.status, answer.headers['cache-control']]).toEqual([status, 'no-store']);
      }
    });

    it('begin one run for each idempotency key, apart from the keys of others', async () => {
      const planId = await makePlan();
      const [one, two] = [await makeWebhook(planId), await makeWebhook(planId)];
      const as = (path: string, n: number): Promise<Answer> =>
        call(path, { body: { n }, headers: { 'idempotency-key': 'k' } });
      const first = await as(one.path, 1);
      expect((await as(one.path, 1)).body.id).toBe(first.body.id);
      expect((await as(one.path, 2)).body.code).toBe('idempotency.key_reused');
      expect((await as(two.path, 1)).body.id).not.toBe(first.body.id);
      expect(await runsOf(planId)).toHaveLength(2);
    });

    it('run fifty at a time, each for itself', async () => {
      const path = await makeAnswering(STEPS);
      const answers = await Promise.all(
        Array.from({ length: 50 }, (_, n) => call(path, { body: { n } })),
      );
      expect(answers.map(({ status, body }) => [status, body])).toEqual(
        Array.from({ length: 50 }, (_, n) => [200, n]),
      );
    });

    it('run the plan as it stands then', async () => {
      const planId = await makePlan({ steps: echo('one') });
      const { path } = await makeWebhook(planId, { respond: 'last_step' });
      expect((await call(path)).body).toBe('one');
      await send('PUT', `/api/plans/${planId}`, { steps: echo('two') });
      expect((await call(path)).body).toBe('two');
      const [last] = await runsOf(planId);
      expect(last).toMatchObject({ plan_version: 2, trigger: 'webhook' });
    });
  });

  describe('are not there any more, with the next call,', () => {
    const gone = async (path: string, planId: string, code: string | null): Promise<void> => {
      const answer = await call(path, { body: { n: 1 } });
      const unknown = await call('nobody-has-this', { body: { n: 1 } });
      expect([answer.status, answer.body.detail]).toEqual([404, unknown.body.detail]);
      const [webhook] = await webhooksOf(planId);
      if (code === null) expect(webhook).toBeUndefined();
      else expect(webhook).toMatchObject({ status: 'error', error: { code } });
    };

    it('when they are deleted, or their plan is', async () => {
      const planId = await makePlan();
      const first = await makeWebhook(planId, { path: 'again' });
      expect((await call('again', { body: { n: 1 } })).status).toBe(202);
      await send('DELETE', `/api/plans/${planId}/webhooks/${first.id}`);
      await gone('again', planId, null);
      const second = await makeWebhook(planId, { path: 'again' });
      expect((await call('again', { body: { n: 1 } })).status).toBe(202);
      await send('DELETE', `/api/plans/${planId}`);
      await gone('again', planId, 'plan.deleted');
      const base = `/api/plans/${planId}/webhooks`;
      expect((await send('POST', base, {})).status).toBe(404);
      expect((await send('DELETE', `${base}/${second.id}`)).status).toBe(200);
    });

    it('when their user is disabled or may run nothing, and run as who makes them again', async () => {
      for (const [change, code] of [
        [{ disabled: true }, 'owner.disabled'],
        [{ role: 'viewer' }, 'owner.not_permitted'],
      ] as const) {
        const leaver = await host.createUser({ adminKey: admin });
        const planId = await makePlan({}, leaver.key);
        const { id, path } = await makeWebhook(planId, { respond: 'last_step' }, leaver.key);
        expect((await call(path, { body: { n: 1 } })).status).toBe(200);
        await send('PUT', `/api/users/${leaver.id}`, change);
        await gone(path, planId, code);
        await send('DELETE', `/api/plans/${planId}/webhooks/${id}`);
        await makeWebhook(planId, { path, respond: 'last_step' });
        expect((await call(path, { body: { n: 2 } })).body).toBe(2);
        expect((await runsOf(planId))[0].owner_id).not.toBe(leaver.id);
      }
    });

    it('when their user sees the plan no more', async () => {
      const demoted = await host.createUser({ adminKey: admin, role: 'admin' });
      const planId = await makePlan({}, member.key);
      const { path } = await makeWebhook(planId, {}, demoted.key);
      await send('PUT', `/api/users/${demoted.id}`, { role: 'user' });
      await gone(path, planId, 'plan.not_visible');
    });

    // Or a member would make an admin's rights, and credentials, run steps of his choice.
    it('when a member edits what runs as an admin, until an admin edits it', async () => {
      const planId = await makePlan({}, member.key);
      const { path } = await makeWebhook(planId, { respond: 'last_step' });
      expect((await call(path, { body: { n: 1 } })).body).toBe(1);
      await send('PUT', `/api/plans/${planId}`, { steps: echo('mine') }, member.key);
      await gone(path, planId, 'plan.changed_by_other');
      await send('PUT', `/api/plans/${planId}`, { steps: STEPS });
      expect((await call(path, { body: { n: 2 } })).body).toBe(2);
    });
  });

  it('are served by hosts that are there for the API alone', async () => {
    const planId = await makePlan();
    const { path } = await makeWebhook(planId);
    const worker = await startTestHost({ database, env: { STEPWELL_ROLES: 'worker' } });
    try {
      const refused = await worker.send({
        ...{ method: 'POST', path: `/api/webhook/${path}`, key: null, body: { n: 1 } },
      });
      expect([refused.status, refused.body.code]).toEqual([503, 'service.unavailable']);
    } finally {
      await worker.close();
    }
    expect(await runsOf(planId)).toEqual([]);
  });
});
