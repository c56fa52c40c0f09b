import { randomBytes, randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';

import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';

import { Database } from '../../src/database/database.js';
import { PublicUrl } from '../../src/execution/waits/public-url.js';
import { WaitTokens, type WaitPlace } from '../../src/execution/waits/wait-tokens.js';
import { asSuperuser } from '../support/as-superuser.js';
import { json, startCountingServer, type CountingServer } from '../support/counting-server.js';
import { eventually } from '../support/eventually.js';
import { startTestHost, type Answer, type Member, type TestHost } from '../support/test-host.js';

const PUBLIC_URL = 'https://flows.example/stepwell';

interface OpenWait {
  id: string;
  step_id: string;
  iteration: number;
  url: string | null;
}

const callback = (id: string, rest: object = {}): object => ({
  id,
  provider: 'wait',
  action: 'callback',
  params: {},
  ...rest,
});

const approval = (id: string, rest: object = {}): object => ({
  id,
  provider: 'wait',
  action: 'approval',
  params: { message: 'Pay 40 €?' },
  ...rest,
});

const transform = (id: string, value: unknown, rest: object = {}): object => ({
  id,
  provider: 'logic',
  action: 'transform',
  params: { value },
  ...rest,
});

describe('waits', () => {
  const held: ServerResponse[] = [];
  let server: CountingServer;
  let host: TestHost;
  let tenantId: string;
  let ann: Member;

  beforeAll(async () => {
    server = await startCountingServer(async ({ url }, response) => {
      const { pathname, searchParams } = new URL(url, server.url);
      if (pathname === '/hold') held.push(response);
      else if (pathname === '/knock') json(response, 200, await knock(searchParams));
      else json(response, 200, {});
    });
    const env = {
      STEPWELL_EGRESS_ALLOW: `127.0.0.1:${String(server.port)}`,
      STEPWELL_PUBLIC_URL: PUBLIC_URL,
    };
    host = await startTestHost({ env });
    ann = await host.createUser({ externalId: 'ann' });
    const me = await host.send({ path: '/api/auth/me', key: ann.key });
    tenantId = me.body.tenant.id;
  });

  afterAll(async () => {
    release();
    await host.close();
    await server.close();
  });

  function release(): void {
    for (const response of held.splice(0)) json(response, 200, {});
  }

  /** A step that lasts until `release`. */
  function hold(id: string): object {
    return {
      id,
      provider: 'http',
      action: 'request',
      params: { url: `${server.url}/hold` },
      depends_on: [],
    };
  }

  async function run(steps: object[], key = ann.key): Promise<string> {
    const body = { plan: { steps }, wait: 0 };
    const answer = await host.send({ method: 'POST', path: '/api/execute', key, body });
    expect([answer.status, answer.body.errors]).toEqual([202, undefined]);
    return answer.body.id as string;
  }

  async function get(id: string): Promise<Answer['body']> {
    return (await host.send({ path: `/api/executions/${id}` })).body;
  }

  async function until(id: string, status: string): Promise<Answer['body']> {
    return await eventually(`status ${status}`, async () => {
      const body = await get(id);
      return body.status === status && body;
    });
  }

  /** A provider that uses what it was given before it answers. */
  async function knock(given: URLSearchParams): Promise<object> {
    const path = `/api/executions/${given.get('execution') ?? ''}`;
    const seen = given.has('execution') ? await host.send({ path, key: ann.key }) : null;
    const said = given.has('link') ? await post(given.get('link') ?? '', { fast: true }) : null;
    return { seen: seen?.status ?? null, said: said?.status ?? null };
  }

  async function list(query = '', key = ann.key): Promise<Answer> {
    return await host.send({ path: `/api/waits?${query}`, key });
  }

  /** The waits of an execution, once there are so many, in the order of its steps' names. */
  async function waitsOf(id: string, count = 1): Promise<OpenWait[]> {
    return await eventually('the waits', async () => {
      const { body } = await list(`execution_id=${id}`);
      const waits = body.waits as OpenWait[];
      const nameOf = (one: OpenWait): string => `${one.step_id} ${String(one.iteration)}`;
      return waits.length === count && waits.sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
    });
  }

  async function linkOf(id: string): Promise<string> {
    const [wait] = await waitsOf(id);
    return wait?.url ?? '';
  }

  /** As somebody outside: with the link and without a key. */
  async function post(url: string, body?: unknown): Promise<Answer> {
    expect(url.startsWith(`${PUBLIC_URL}/api/waits/`)).toBe(true);
    const path = url.slice(PUBLIC_URL.length);
    // A text of its own, which `inject` would send as it is.
    const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const headers = { 'content-type': 'application/json' };
    return await host.send({
      method: 'POST',
      path,
      key: null,
      ...(payload && { body: payload, headers }),
    });
  }

  function urlOf(place: Partial<WaitPlace>): string {
    const whole = { tenantId, executionId: randomUUID(), stepId: 'hook', iteration: 0, ...place };
    return host.app.get(WaitTokens).urlOf(whole);
  }

  async function auditOf(executionId: string): Promise<Answer['body'][]> {
    const { body } = await host.send({ path: '/api/audit-log?action=wait.resolved&limit=200' });
    return (body.events as { subject: { id: string } }[]).filter(
      ({ subject }) => subject.id === executionId,
    );
  }

  describe('a callback', () => {
    it('goes on with what is posted to its link', async () => {
      const id = await run([
        callback('hook'),
        transform('after', '${steps.hook.output.payload.n}'),
      ]);
      await until(id, 'waiting');
      const answer = await post(await linkOf(id), { n: 5 });
      expect(answer).toMatchObject({
        status: 200,
        body: { status: 'resolved', execution_id: id },
      });
      const done = await until(id, 'success');
      expect(done.output).toBe(5);
      expect(done.steps[0].result.output).toEqual({
        payload: { n: 5 },
        resumed_at: expect.stringMatching(/^\d{4}-.*Z$/),
      });
      expect((await list(`execution_id=${id}`)).body.waits).toEqual([]);
    });

    it('takes any JSON, and nothing for null', async () => {
      const payloads = [undefined, null, false, 0, 'text', [1, [2]], { user_id: 'x', deep: [{}] }];
      for (const payload of payloads) {
        const id = await run([callback('hook')]);
        const answer = await post(await linkOf(id), payload);
        expect([payload, answer.status]).toEqual([payload, 200]);
        const done = await until(id, 'success');
        expect(done.output.payload).toEqual(payload ?? null);
      }
    });

    it('may come before its step gets there', async () => {
      const id = await run([hold('slow'), callback('hook', { depends_on: ['slow'] })]);
      const url = urlOf({ executionId: id });
      await eventually('the slow step', () => held.length > 0);
      expect((await list(`execution_id=${id}`)).body.waits).toEqual([]);
      expect((await post(url, { early: true })).body).toEqual({
        status: 'resolved',
        execution_id: id,
      });
      expect((await post(url, { early: true })).status).toBe(200);
      expect((await post(url, { early: false })).status).toBe(409);
      release();
      expect((await until(id, 'success')).output.payload).toEqual({ early: true });
    });

    it('may come before its execution is old, from whoever a step that reads told of it', async () => {
      const asks = (query: string): object => ({
        id: 'knock',
        provider: 'http',
        action: 'request',
        params: { url: `${server.url}/knock?${query}` },
      });
      const told = transform('told', '${waits.hook.url}');
      const plans = [
        [asks('link=${waits.hook.url}'), callback('hook')],
        [asks('link=${waits.hook.url}&execution=${execution.id}'), callback('hook')],
        [told, asks('link=${steps.told.output}'), callback('hook')],
      ];
      for (const steps of plans) {
        const request = { method: 'POST' as const, path: '/api/execute', key: ann.key };
        const { body } = await host.send({ ...request, body: { plan: { steps }, wait: 5 } });
        expect([body.errors, body.status]).toEqual([undefined, 'success']);
        expect(body.output.payload).toEqual({ fast: true });
      }
      const steps = [asks('execution=${execution.id}')];
      const request = { method: 'POST' as const, path: '/api/execute', key: ann.key };
      const { body } = await host.send({ ...request, body: { plan: { steps }, wait: 5 } });
      expect(body.output.body.seen).toBe(200);
    });

    it('is kept while its execution is paused', async () => {
      const id = await run([hold('slow'), callback('hook', { depends_on: ['slow'] })]);
      await eventually('the slow step', () => held.length > 0);
      const control = (name: string): Promise<Answer> =>
        host.send({ method: 'POST', path: `/api/executions/${id}/${name}`, body: {} });
      await control('pause');
      release();
      await until(id, 'paused');
      expect((await post(urlOf({ executionId: id }), 'kept')).status).toBe(200);
      expect((await get(id)).status).toBe('paused');
      await control('resume');
      expect((await until(id, 'success')).output.payload).toBe('kept');
    });

    it('is heard while other steps of its execution run', async () => {
      const after = {
        url: `${server.url}/after`,
        method: 'POST',
        body: '${steps.hook.output.payload}',
      };
      const id = await run([
        hold('slow'),
        callback('hook', { depends_on: [] }),
        { id: 'after', provider: 'http', action: 'request', params: after, depends_on: ['hook'] },
      ]);
      await eventually('the slow step', () => held.length > 0);
      await post(await linkOf(id), { heard: true });
      await eventually('the step after it', () => server.count('/after') === 1);
      expect(server.seen.at(-1)?.body).toBe('{"heard":true}');
      expect(held).toHaveLength(1);
      release();
      await until(id, 'success');
    });

    it('is heard once: the same again changes nothing, something else is told so', async () => {
      const id = await run([callback('hook'), callback('next')]);
      const url = await linkOf(id);
      expect((await post(url, { a: 1, b: [2] })).status).toBe(200);
      expect((await post(url, { b: [2], a: 1 })).body).toEqual({
        status: 'resolved',
        execution_id: id,
      });
      const other = await post(url, { a: 2 });
      expect(other).toMatchObject({ status: 409, body: { code: 'state.conflict' } });
      expect(other.body.detail).toMatch(/something else was said before at 2.*first answer counts/);
      await post(urlOf({ executionId: id, stepId: 'next' }), null);
      const done = await until(id, 'success');
      expect(done.steps[0].result.output.payload).toEqual({ a: 1, b: [2] });
      // Also when all is over.
      expect((await post(url, { a: 1, b: [2] })).status).toBe(200);
      const late = await post(url, { a: 2 });
      expect(late).toMatchObject({ status: 409, body: { code: 'state.conflict' } });
      expect(late.body.detail).toContain('has ended (status success)');
      expect(await auditOf(id)).toHaveLength(2);
    });

    it('has one winner of many that come at once', async () => {
      const id = await run([callback('hook')]);
      const url = await linkOf(id);
      const answers = await Promise.all(
        Array.from({ length: 12 }, async (_, n) => ({ n, status: (await post(url, n)).status })),
      );
      const winners = answers.filter(({ status }) => status === 200);
      expect(winners).toHaveLength(1);
      expect(answers.filter(({ status }) => status === 409)).toHaveLength(11);
      expect((await until(id, 'success')).output.payload).toBe(winners[0]?.n);
      expect(await auditOf(id)).toHaveLength(1);
    });

    it('has a link for each item of a for_each', async () => {
      const id = await run([
        transform('items', ['a', 'b', 'c']),
        callback('hook', { for_each: '${steps.items.output}' }),
      ]);
      const waits = await waitsOf(id, 3);
      expect(waits.map(({ iteration }) => iteration)).toEqual([0, 1, 2]);
      for (const { url, iteration } of waits.reverse())
        await post(url ?? '', `item ${String(iteration)}`);
      const done = await until(id, 'success');
      expect(done.output.map(({ payload }: { payload: string }) => payload)).toEqual([
        'item 0',
        'item 1',
        'item 2',
      ]);
    });

    it('goes on without waiting for a tick', async () => {
      const took: number[] = [];
      for (let round = 0; round < 5; round++) {
        const id = await run([callback('hook'), transform('after', 1)]);
        await until(id, 'waiting');
        const url = await linkOf(id);
        const begin = performance.now();
        await post(url, round);
        await until(id, 'success');
        took.push(performance.now() - begin);
      }
      // Ticks are a second apart: five of them would take two and a half on average.
      expect(took.reduce((sum, ms) => sum + ms)).toBeLessThan(1_200);
    });

    it('fails when nothing came in time, and is told so afterwards', async () => {
      const id = await run([
        callback('hook', {
          params: { timeout_seconds: 1 },
          on_error: 'continue',
          depends_on: [],
        }),
        callback('other', { depends_on: [] }),
      ]);
      const step = await eventually('its end', async () => {
        const { steps } = await get(id);
        return steps[0].status === 'error' && steps[0];
      });
      expect(step.result.error).toMatchObject({ code: 'wait.timed_out', retryable: false });
      const late = await post(urlOf({ executionId: id }), 1);
      expect(late).toMatchObject({ status: 409, body: { code: 'state.conflict' } });
      expect(late.body.detail).toMatch(/its time was over at 2/);
      await post(urlOf({ executionId: id, stepId: 'other' }), 1);
      await until(id, 'success');
    });

    it('is over when its step is skipped, or fails before it waits', async () => {
      const id = await run([
        callback('skipped', { when: 'false', depends_on: [] }),
        callback('wrong', {
          params: { timeout_seconds: '${input.none ?? "soon"}' },
          on_error: 'continue',
          depends_on: [],
        }),
        callback('open', { depends_on: ['skipped', 'wrong'] }),
      ]);
      await until(id, 'waiting');
      for (const stepId of ['skipped', 'wrong']) {
        const late = await post(urlOf({ executionId: id, stepId }), 1);
        expect(late).toMatchObject({ status: 409, body: { code: 'state.conflict' } });
        expect(late.body.detail).toContain('its step has ended, or was skipped');
      }
      await post(urlOf({ executionId: id, stepId: 'open' }), 1);
      await until(id, 'success');
    });

    it('is over for the other items when one of its for_each fails, and wakes nobody then', async () => {
      const id = await run([
        callback('each', {
          params: { timeout_seconds: '${item}' },
          for_each: { items: [1, 60] },
          on_error: 'continue',
        }),
        callback('open'),
      ]);
      const [open] = await eventually('the end of the first', async () => {
        const waits = (await list(`execution_id=${id}`)).body.waits as OpenWait[];
        return waits[0]?.step_id === 'open' && waits;
      });
      expect(await waitsOf(id)).toEqual([open]);
      expect((await until(id, 'waiting')).wake_at).toBeNull();
      const late = await post(urlOf({ executionId: id, stepId: 'each', iteration: 1 }), 1);
      expect(late.status).toBe(409);
      await post(open?.url ?? '', 1);
      await until(id, 'success');
    });

    it('has no time of its own while its execution is paused, or was cancelled', async () => {
      const id = await run([callback('hook', { params: { timeout_seconds: 3600 } })]);
      expect((await until(id, 'waiting')).wake_at).not.toBeNull();
      for (const [control, status] of [
        ['pause', 'paused'],
        ['cancel', 'cancelled'],
      ]) {
        const path = `/api/executions/${id}/${control ?? ''}`;
        const answer = await host.send({ method: 'POST', path, body: {} });
        expect(answer.body).toMatchObject({ status, wake_at: null });
      }
      const message = 'the execution was cancelled while this step waited';
      expect((await get(id)).steps[0].result.error).toMatchObject({ message });
    });

    it('is over when its execution is cancelled', async () => {
      const id = await run([callback('hook')]);
      const url = await linkOf(id);
      await host.send({ method: 'POST', path: `/api/executions/${id}/cancel` });
      const late = await post(url, 1);
      expect(late).toMatchObject({ status: 409, body: { code: 'state.conflict' } });
      expect(late.body.detail).toContain('has ended (status cancelled)');
      expect((await get(id)).status).toBe('cancelled');
      expect(await auditOf(id)).toEqual([]);
    });

    it('takes what a body may hold, and no more', async () => {
      const id = await run([callback('hook')]);
      const url = await linkOf(id);
      expect((await post(url, 'x'.repeat(1024 * 1024))).status).toBe(413);
      const nul = await post(url, { a: '\0' });
      expect([nul.status, nul.body.code]).toEqual([400, 'request.invalid']);
      await post(url, 'x');
      await until(id, 'success');
    });

    it('may stand in a step with the longest of names', async () => {
      const stepId = `_${'s'.repeat(63)}`;
      const id = await run([callback(stepId)]);
      const url = await linkOf(id);
      expect(url).toBe(urlOf({ executionId: id, stepId }));
      expect((await post(url, 1)).status).toBe(200);
      await until(id, 'success');
    });
  });

  describe('an approval', () => {
    const branches = (): object[] => [
      approval('ask'),
      transform('yes', 'paid', { when: 'steps.ask.output.approved == true' }),
      transform('no', 'kept', {
        depends_on: ['ask'],
        when: 'steps.ask.output.approved == false',
      }),
    ];

    it('is given or refused, and both go on', async () => {
      for (const [decision, output, comment] of [
        [{ approved: true, comment: 'fine' }, 'paid', 'fine'],
        [{ approved: false }, 'kept', null],
        [{ approved: false, comment: null }, 'kept', null],
      ] as const) {
        const id = await run(branches());
        expect((await post(await linkOf(id), decision)).status).toBe(200);
        const done = await until(id, 'success');
        expect(done.output).toBe(output);
        expect(done.steps[0].result.output).toEqual({
          approved: decision.approved,
          comment,
          resumed_at: expect.any(String),
        });
      }
    });

    it('may be decided before its step gets there', async () => {
      const id = await run([hold('slow'), approval('ask', { depends_on: ['slow'] })]);
      await eventually('the slow step', () => held.length > 0);
      const url = urlOf({ executionId: id, stepId: 'ask' });
      expect((await post(url, { yes: true })).status).toBe(400);
      expect((await post(url, { approved: true })).status).toBe(200);
      release();
      expect((await until(id, 'success')).output.approved).toBe(true);
    });

    it('refuses what is no decision, naming the field', async () => {
      const id = await run([approval('ask')]);
      const url = await linkOf(id);
      for (const [body, pointer] of [
        [undefined, ''],
        [true, ''],
        [[], ''],
        [{}, '/approved'],
        [{ approved: 'true' }, '/approved'],
        [{ approved: null }, '/approved'],
        [{ approved: true, comment: 5 }, '/comment'],
        [{ approved: true, comment: 'x'.repeat(2_001) }, '/comment'],
        [{ approved: true, by: 'me' }, '/by'],
      ] as const) {
        const answer = await post(url, body);
        expect([body, answer.status, answer.body.code]).toEqual([body, 400, 'request.invalid']);
        expect(answer.body.errors.map((one: { pointer: string }) => one.pointer)).toContain(
          pointer,
        );
      }
      expect(await waitsOf(id)).toHaveLength(1);
      const longest = { approved: true, comment: 'x'.repeat(2_000) };
      expect((await post(url, longest)).status).toBe(200);
      await until(id, 'success');
    });

    it('stands as it was decided first', async () => {
      const id = await run([approval('ask'), callback('hook')]);
      const url = await linkOf(id);
      expect((await post(url, { approved: true })).status).toBe(200);
      expect((await post(url, { approved: true, comment: null })).status).toBe(200);
      expect((await post(url, { approved: false })).status).toBe(409);
      await post(urlOf({ executionId: id }), null);
      expect((await until(id, 'success')).steps[0].result.output.approved).toBe(true);
    });

    it('is in the audit log of its owner, which says that a link did it', async () => {
      const id = await run([approval('ask')]);
      await post(await linkOf(id), { approved: false, comment: 'too much' });
      await until(id, 'success');
      expect(await auditOf(id)).toEqual([
        expect.objectContaining({
          actor_id: ann.id,
          user_id: ann.id,
          subject: { type: 'execution', id },
          outcome: 'success',
          details: {
            execution_id: id,
            step_id: 'ask',
            iteration: 0,
            kind: 'approval',
            by: 'token',
            approved: false,
          },
          request_id: expect.any(String),
        }),
      ]);
      const [row] = await asSuperuser<{ resolved_by: string | null }>(
        host.database,
        'select resolved_by from execution_waits where execution_id = $1',
        [id],
      );
      expect(row).toEqual({ resolved_by: null });
    });
  });

  describe('a token', () => {
    const NOTHING = {
      status: 404,
      code: 'request.not_found',
      detail: /^nothing waits under this token/,
    };

    async function expectNothing(url: string, body: unknown = {}): Promise<void> {
      const answer = await post(url, body);
      const { code, detail } = answer.body;
      expect({ url, status: answer.status, code, detail }).toEqual({
        url,
        ...NOTHING,
        detail: expect.stringMatching(NOTHING.detail),
      });
      const token = url.split('/').at(-1) ?? '';
      expect(JSON.stringify(answer.body)).not.toContain(token);
    }

    it('opens nothing unless it names a step that waits for somebody outside', async () => {
      const id = await run([
        callback('hook', { depends_on: [] }),
        {
          id: 'timer',
          provider: 'wait',
          action: 'delay',
          params: { seconds: 3_600 },
          depends_on: [],
        },
        transform('plain', 1, { depends_on: [] }),
      ]);
      await waitsOf(id, 2);
      const place = { executionId: id };
      await expectNothing(urlOf({ ...place, stepId: 'timer' }));
      await expectNothing(urlOf({ ...place, stepId: 'plain' }));
      await expectNothing(urlOf({ ...place, stepId: 'absent' }));
      await expectNothing(urlOf({ executionId: randomUUID() }));
      await expectNothing(urlOf({ ...place, tenantId: randomUUID() }));
      const other = await host.createTenant('other');
      const me = await host.send({ path: '/api/auth/me', key: other.api_key });
      await expectNothing(urlOf({ ...place, tenantId: me.body.tenant.id }));
      expect(await auditOf(id)).toEqual([]);
      // Or it would prove nothing.
      expect((await post(urlOf(place), {})).status).toBe(200);
    });

    it('opens nothing when it was not made here, and costs the database nothing', async () => {
      const id = await run([callback('hook')]);
      await until(id, 'waiting');
      const url = await linkOf(id);
      const place = { tenantId, executionId: id, stepId: 'hook', iteration: 0 };
      const stranger = new WaitTokens(randomBytes(32), host.app.get(PublicUrl));
      const database = host.app.get(Database);
      const opened = jest.spyOn(database, 'withTenant');
      const queried = jest.spyOn(database, 'query');
      // Runs that go on meanwhile ask as their owner, and not about one that rests.
      const asked = (): number =>
        opened.mock.calls.filter(([ctx]) => ctx.userId !== ann.id).length +
        queried.mock.calls.filter((call) => JSON.stringify(call).includes(id)).length;
      try {
        const before = asked();
        await expectNothing(stranger.urlOf(place));
        for (const last of ['A', 'Q', 'g', 'w'])
          await expectNothing(url.slice(0, -2) + last + last);
        for (const odd of ['x', 'null', '%41%2F%41', id, 'x'.repeat(350)]) {
          const answer = await post(`${PUBLIC_URL}/api/waits/${odd}`, {});
          expect([odd, answer.status, answer.body.detail]).toEqual([
            odd,
            404,
            expect.stringMatching(NOTHING.detail),
          ]);
        }
        expect(asked()).toBe(before);
        expect((await post(url, {})).status).toBe(200);
        expect(asked()).toBeGreaterThan(before);
      } finally {
        opened.mockRestore();
        queried.mockRestore();
      }
      await until(id, 'success');
    });

    it('is not taken by other methods', async () => {
      const id = await run([callback('hook')]);
      const path = (await linkOf(id)).slice(PUBLIC_URL.length);
      // A preview of the link decides nothing.
      for (const method of ['GET', 'PUT', 'DELETE'] as const) {
        expect((await host.send({ method, path, key: null })).status).toBe(404);
      }
      expect(await waitsOf(id)).toHaveLength(1);
    });
  });

  describe('the list of open ones', () => {
    let keyA: string;
    let owner: Member;
    let member: Member;
    let viewer: Member;
    let restricted: Member;
    let shared: string;
    let plan: string;

    beforeAll(async () => {
      keyA = (await host.createTenant('a')).api_key;
      owner = await host.createUser({ adminKey: keyA });
      member = await host.createUser({ adminKey: keyA });
      viewer = await host.createUser({ adminKey: keyA, role: 'viewer' });
      restricted = await host.createUser({
        adminKey: keyA,
        role: 'admin',
        permissions: ['plan.read'],
      });
      const created = await host.send({
        method: 'POST',
        path: '/api/plans',
        key: owner.key,
        body: {
          name: 'shared',
          visibility: 'tenant',
          steps: [
            callback('hook', { depends_on: [], params: { timeout_seconds: 3_600 } }),
            approval('ask', { depends_on: [] }),
            {
              id: 'timer',
              provider: 'wait',
              action: 'delay',
              params: { seconds: 60 },
              depends_on: [],
            },
          ],
        },
      });
      plan = created.body.id;
      const path = `/api/plans/${plan}/execute`;
      const started = await host.send({ method: 'POST', path, key: owner.key, body: {} });
      shared = started.body.id;
      await eventually('its waits', async () => (await seenBy(owner.key)).length === 3);
    });

    async function seenBy(key: string, query = ''): Promise<Answer['body'][]> {
      const answer = await list(query, key);
      expect(answer.status).toBe(200);
      return answer.body.waits;
    }

    it('shows what they are about', async () => {
      const answer = await list('', owner.key);
      expect(answer.headers['cache-control']).toBe('no-store');
      expect(answer.body.next_cursor).toBeNull();
      const byStep = Object.fromEntries(
        (answer.body.waits as OpenWait[]).map((wait) => [wait.step_id, wait]),
      );
      const common = {
        id: expect.any(String),
        execution_id: shared,
        plan_id: plan,
        iteration: 0,
        created_at: expect.any(String),
      };
      const tokens = `${PUBLIC_URL}/api/waits/`;
      expect(byStep).toEqual({
        hook: {
          ...common,
          step_id: 'hook',
          kind: 'callback',
          message: null,
          wake_at: expect.any(String),
          url: expect.stringContaining(tokens),
        },
        ask: {
          ...common,
          step_id: 'ask',
          kind: 'approval',
          message: 'Pay 40 €?',
          wake_at: null,
          url: expect.stringContaining(tokens),
        },
        timer: {
          ...common,
          step_id: 'timer',
          kind: 'timer',
          message: null,
          wake_at: expect.any(String),
          url: null,
        },
      });
    });

    it('gives the links to its owner and to tenant admins who may run plans, and to nobody else', async () => {
      for (const [key, count] of [
        [owner.key, 2],
        [keyA, 2],
        [member.key, 0],
        [viewer.key, 0],
        [restricted.key, 0],
      ] as const) {
        const waits = await seenBy(key);
        expect(waits).toHaveLength(3);
        expect(waits.filter(({ url }) => url !== null)).toHaveLength(count);
      }
    });

    it('shows nothing of other tenants, nor what is private to others', async () => {
      expect(await seenBy(host.operatorKey, `execution_id=${shared}`)).toEqual([]);
      expect(await seenBy(host.operatorKey, `plan_id=${plan}`)).toEqual([]);
      const mine = await run([callback('hook')], owner.key);
      const seen = (key: string): Promise<Answer['body'][]> => seenBy(key, `execution_id=${mine}`);
      await eventually('its wait', async () => (await seen(owner.key)).length === 1);
      expect(await seen(keyA)).toHaveLength(1);
      expect(await seen(member.key)).toEqual([]);
      expect(await seen(viewer.key)).toEqual([]);
      await host.send({ method: 'POST', path: `/api/executions/${mine}/cancel`, key: keyA });
      expect(await seen(owner.key)).toEqual([]);
    });

    it('is filtered, newest first, and comes in pages', async () => {
      const all = await seenBy(owner.key);
      const ids = all.map(({ id }) => id as string);
      expect(ids).toEqual([...ids].sort().reverse());
      expect((await seenBy(owner.key, 'kind=timer')).map(({ step_id }) => step_id)).toEqual([
        'timer',
      ]);
      expect(await seenBy(owner.key, `plan_id=${plan}`)).toHaveLength(3);
      expect(await seenBy(owner.key, `plan_id=${randomUUID()}`)).toEqual([]);
      const paged: string[] = [];
      for (let cursor: string | null = ''; cursor !== null;) {
        const query: string = `limit=1${cursor === '' ? '' : `&cursor=${cursor}`}`;
        const { body } = await list(query, owner.key);
        paged.push(...(body.waits as OpenWait[]).map(({ id }) => id));
        cursor = body.next_cursor as string | null;
      }
      expect(paged).toEqual(ids);
      for (const [query, pointer] of [
        ['kind=dream', '/kind'],
        ['execution_id=x', '/execution_id'],
        ['plan_id=x', '/plan_id'],
        ['status=open', '/status'],
      ] as const) {
        const answer = await list(query, owner.key);
        expect([answer.status, answer.body.errors?.[0].pointer]).toEqual([400, pointer]);
      }
    });
  });
});
