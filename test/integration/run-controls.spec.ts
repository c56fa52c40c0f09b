import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';

import { RunDispatcher } from '../../src/execution/run-dispatcher.js';
import { asSuperuser } from '../support/as-superuser.js';
import { json, startCountingServer, type CountingServer } from '../support/counting-server.js';
import { eventually } from '../support/eventually.js';
import { cloneDatabase, type TestDatabase } from '../support/test-database.js';
import { startTestHost, type Answer, type Member, type TestHost } from '../support/test-host.js';

const VAULTED = join(import.meta.dirname, '..', 'fixtures', 'plugins', 'vaulted');

type Status = 'queued' | 'running' | 'waiting' | 'paused' | 'success' | 'error' | 'cancelled';

const STATUSES: Status[] = [
  'queued',
  'running',
  'waiting',
  'paused',
  'success',
  'error',
  'cancelled',
];

/** A provider that answers `/hold...` when it is told to, and refuses what is broken until it is mended. */
class Provider {
  readonly held: ServerResponse[] = [];
  readonly broken = new Set<string>();
  server!: CountingServer;

  async start(): Promise<void> {
    this.server = await startCountingServer(({ url }, response) => {
      if (url.startsWith('/hold')) this.held.push(response);
      else if (url === '/later') json(response, 503, {});
      else if (this.broken.has(url)) json(response, 400, { error: 'broken' });
      else json(response, 200, { path: url, hits: this.count(url) });
    });
  }

  get env(): Record<string, string> {
    return { STEPWELL_EGRESS_ALLOW: `127.0.0.1:${String(this.server.port)}` };
  }

  count(path: string): number {
    return this.server.seen.filter(({ url }) => url === path).length;
  }

  async holds(path: string): Promise<void> {
    await eventually(`a request to ${path}`, () => this.count(path) > 0);
  }

  release(): void {
    for (const response of this.held.splice(0)) json(response, 200, { held: true });
  }

  /** A write: sent once, whatever happens, unless somebody decides otherwise. */
  post(id: string, path: string, rest: object = {}): object {
    const params = { method: 'POST', url: `${this.server.url}${path}`, body: {} };
    return { id, provider: 'http', action: 'request', params, ...rest };
  }
}

const transform = (id: string, value: unknown, rest: object = {}): object => ({
  id,
  provider: 'logic',
  action: 'transform',
  params: { value },
  ...rest,
});

/** The requests of one caller to one host. */
function clientOf(host: TestHost, key: string = host.operatorKey) {
  const send = (method: 'GET' | 'POST' | 'PUT', path: string, body?: unknown, headers = {}) =>
    host.send({ method, path, key, body, headers });
  return {
    run: async (steps: object[], rest: object = {}): Promise<string> => {
      const { status, body } = await send('POST', '/api/execute', {
        plan: { steps },
        wait: 0,
        ...rest,
      });
      expect([status, body.detail]).toEqual([status === 200 ? 200 : 202, undefined]);
      return body.id as string;
    },
    get: async (id: string): Promise<Answer['body']> =>
      (await send('GET', `/api/executions/${id}`)).body,
    control: (id: string, control: string, body: unknown = {}, headers = {}): Promise<Answer> =>
      send('POST', `/api/executions/${id}/${control}`, body, headers),
    until: (id: string, status: Status, deadlineMs?: number): Promise<Answer['body']> =>
      eventually(
        `status ${status}`,
        async () => {
          const { body } = await send('GET', `/api/executions/${id}`);
          return body.status === status && body;
        },
        deadlineMs,
      ),
    send,
  };
}

const idsOf = (body: { steps: { id: string; status: string }[] }): string[] =>
  body.steps.map(({ id, status }) => `${id}:${status}`);

describe('the controls of an execution', () => {
  const provider = new Provider();
  let host: TestHost;
  let ann: Member;
  let bob: Member;
  let blocker: string;
  const elsewhere = randomUUID();

  // One place, which is taken: what is queued stays so, and what runs does so on a host that nobody asks.
  beforeAll(async () => {
    await provider.start();
    const env = { ...provider.env, STEPWELL_MAX_RUNNING_EXECUTIONS: '1' };
    host = await startTestHost({ env });
    ann = await host.createUser({ externalId: 'ann' });
    bob = await host.createUser({ externalId: 'bob' });
    await asSuperuser(host.database, `insert into hosts (id) values ($1)`, [elsewhere]);
    blocker = await clientOf(host).run([provider.post('a', '/hold-blocker'), transform('b', 1)]);
    await provider.holds('/hold-blocker');
  });

  afterAll(async () => {
    provider.release();
    await host.close();
    await provider.server.close();
  });

  /** An execution of Ann's that everybody in the tenant sees. */
  async function make(status: Status): Promise<string> {
    const id = await clientOf(host, ann.key).run([transform('a', 1), transform('b', 2)]);
    await asSuperuser(host.database, `update hosts set heartbeat_at = now() where id = $1`, [
      elsewhere,
    ]);
    await asSuperuser(
      host.database,
      `update executions set status = $2, visibility = 'tenant', finished_at = case when $3 then now() end,
              host_id = case when $2 = 'running' then $4::uuid end, lease_epoch = 1
        where id = $1`,
      [id, status, ['success', 'error', 'cancelled'].includes(status), elsewhere],
    );
    return id;
  }

  const OUTCOMES: Record<string, Partial<Record<Status, Status>>> = {
    pause: { queued: 'paused', running: 'running', waiting: 'paused' },
    resume: { paused: 'queued' },
    retry: { error: 'queued' },
    cancel: {
      queued: 'cancelled',
      running: 'cancelled',
      waiting: 'cancelled',
      paused: 'cancelled',
    },
  };
  const DONE: Record<string, string> = {
    pause: 'paused',
    resume: 'resumed',
    retry: 'retried',
    cancel: 'cancelled',
  };

  for (const [control, outcomes] of Object.entries(OUTCOMES)) {
    it(`${control} where that is possible, and say what is possible where it is not`, async () => {
      const { control: send, get } = clientOf(host, ann.key);
      for (const status of STATUSES) {
        const id = await make(status);
        const before = await get(id);
        const { status: code, body } = await send(id, control);
        const after = await get(id);
        const expected = outcomes[status];
        if (expected) {
          expect([status, code, body.status, after.status]).toEqual([
            status,
            200,
            expected,
            expected,
          ]);
          continue;
        }
        expect([status, code, body.code]).toEqual([status, 409, 'state.conflict']);
        expect(body.detail).toContain(`status is ${status}: it can't be ${DONE[control] ?? ''};`);
        const others = Object.entries(OUTCOMES).filter(([, from]) => from[status] !== undefined);
        for (const [other] of others) expect(body.detail).toContain(DONE[other]);
        expect(body.detail).toContain('replayed or forked');
        expect(after).toEqual(before);
      }
    });
  }

  it('replay and fork, whatever its status', async () => {
    const { control } = clientOf(host, ann.key);
    for (const status of STATUSES) {
      const id = await make(status);
      const replay = await control(id, 'replay');
      const fork = await control(id, 'fork', { from_step: 'b' });
      for (const [answer, trigger] of [
        [replay, 'replay'],
        [fork, 'fork'],
      ] as const) {
        expect([status, answer.status]).toEqual([status, 202]);
        expect(answer.body).toMatchObject({ status: 'queued', trigger, origin_id: id });
        expect(answer.headers['location']).toBe(`/api/executions/${String(answer.body.id)}`);
      }
    }
  });

  it('ask a running one to pause once, and take the request back', async () => {
    const { control, get } = clientOf(host, ann.key);
    const id = await make('running');
    const asked = await control(id, 'pause', { wait: 0.2 });
    expect(asked.body).toMatchObject({ status: 'running', pause_requested: true });
    expect((await control(id, 'pause')).status).toBe(200);
    const wrong = await control(id, 'retry');
    expect(wrong.body.detail).toContain('paused, resumed, cancelled, replayed or forked');
    const resumed = await control(id, 'resume');
    expect(resumed.body).toMatchObject({ status: 'running', pause_requested: false });
    expect((await control(id, 'resume')).status).toBe(409);
    await control(id, 'pause');
    expect((await control(id, 'cancel')).body).toMatchObject({ pause_requested: false });
    expect((await get(id)).status).toBe('cancelled');
  });

  it('are for its owner and tenant admins; only the owner retries', async () => {
    const [stranger, admin] = [clientOf(host, bob.key), clientOf(host)];
    const inStatus: [string, Status][] = [
      ['pause', 'queued'],
      ['resume', 'paused'],
      ['cancel', 'queued'],
      ['retry', 'error'],
    ];
    for (const [control, status] of inStatus) {
      const id = await make(status);
      const refused = await stranger.control(id, control);
      expect([control, refused.status, refused.body.code]).toEqual([
        control,
        403,
        'auth.forbidden',
      ]);
      const answer = await admin.control(id, control);
      expect([control, answer.status]).toEqual([control, control === 'retry' ? 403 : 200]);
      if (control === 'retry') expect(answer.body.detail).toContain('replay it');
      await asSuperuser(
        host.database,
        `update executions set visibility = 'private' where id = $1`,
        [id],
      );
      expect([control, (await stranger.control(id, control)).status]).toEqual([control, 404]);
    }
    for (const control of ['replay', 'fork']) {
      const hidden = await clientOf(host).run([transform('a', 1)]);
      const answer = await stranger.control(
        hidden,
        control,
        control === 'fork' ? { from_step: 'a' } : {},
      );
      expect([control, answer.status]).toEqual([control, 404]);
      expect((await stranger.control('nonsense', control, { from_step: 'a' })).status).toBe(
        control === 'fork' ? 404 : 400,
      );
    }
  });

  it('are told in the audit log, refusals of the state are not', async () => {
    const { control } = clientOf(host, ann.key);
    const id = await make('queued');
    await control(id, 'pause');
    await control(id, 'pause');
    await control(id, 'resume');
    await control(id, 'resume');
    await asSuperuser(host.database, `update executions set status = 'error' where id = $1`, [id]);
    await control(id, 'retry');
    const replay = await control(id, 'replay', {}, { 'idempotency-key': 'told once' });
    await control(id, 'replay', {}, { 'idempotency-key': 'told once' });
    const fork = await control(id, 'fork', { from_step: 'b' });
    const told = async (action: string): Promise<unknown[]> => {
      const path = `/api/audit-log?action=execution.${action}&user_id=ann&limit=200`;
      const { body } = await host.send({ path });
      return (body.events as { subject: { id: string }; details: object }[]).filter(
        ({ subject, details }) => JSON.stringify([subject, details]).includes(id),
      );
    };
    for (const action of ['paused', 'resumed', 'retried']) {
      expect(await told(action)).toMatchObject([{ subject: { type: 'execution', id } }]);
    }
    expect(await told('replayed')).toMatchObject([
      { subject: { id: replay.body.id }, details: { origin_id: id } },
    ]);
    expect(await told('forked')).toMatchObject([
      { subject: { id: fork.body.id }, details: { origin_id: id, from_step: 'b' } },
    ]);
  });

  it('refuse what a fork cannot begin with, and name what there is', async () => {
    const { control, send } = clientOf(host, ann.key);
    const inline = await make('success');
    const wrong = await control(inline, 'fork', { from_step: 'c' });
    expect(wrong).toMatchObject({ status: 400, body: { code: 'request.invalid' } });
    expect(wrong.body.errors).toEqual([
      { pointer: '/from_step', detail: expect.stringMatching(/no step "c".*Known: a, b/) },
    ]);
    const missing = await control(inline, 'fork');
    expect(missing.body.errors[0].pointer).toBe('/from_step');
    const versioned = await control(inline, 'fork', { from_step: 'a', plan_version: 1 });
    expect(versioned.body.errors[0].pointer).toBe('/plan_version');
    const plan = await send('POST', '/api/plans', { name: 'p', steps: [transform('a', 1)] });
    const run = await send('POST', `/api/plans/${String(plan.body.id)}/execute`, {});
    const unknown = await control(run.body.id as string, 'fork', {
      from_step: 'a',
      plan_version: 2,
    });
    expect(unknown.body.errors).toEqual([
      { pointer: '/plan_version', detail: 'the plan has no version 2; its newest is 1' },
    ]);
  });

  it('let a paused one take no place', async () => {
    const { run, control, until } = clientOf(host);
    const waiting = await run([transform('a', 'next')]);
    await control(blocker, 'pause');
    provider.release();
    await until(blocker, 'paused');
    expect(await until(waiting, 'success')).toMatchObject({ output: 'next' });
  });
});

describe('an execution that runs', () => {
  const provider = new Provider();
  let host: TestHost;
  let api: ReturnType<typeof clientOf>;

  beforeAll(async () => {
    await provider.start();
    host = await startTestHost({ env: provider.env, plugins: [VAULTED] });
    api = clientOf(host);
  });

  beforeEach(() => {
    provider.broken.clear();
    provider.server.seen.length = 0;
  });

  afterAll(async () => {
    provider.release();
    await host.close();
    await provider.server.close();
  });

  const three = (): object[] => [
    provider.post('a', '/hold-a'),
    provider.post('b', '/b'),
    transform('c', '${steps.b.output.body.path}'),
  ];

  it('pauses at the next step, and goes on from there', async () => {
    const id = await api.run(three());
    await provider.holds('/hold-a');
    const asked = api.control(id, 'pause', { wait: 20 });
    await eventually('the request', async () => (await api.get(id)).pause_requested === true);
    provider.release();
    const paused = await asked;
    expect(paused.body).toMatchObject({ status: 'paused', pause_requested: false, output: null });
    expect(idsOf(paused.body)).toEqual(['a:success', 'b:pending', 'c:pending']);
    expect(host.app.get(RunDispatcher).runningCount).toBe(0);
    expect((await api.control(id, 'pause')).status).toBe(409);
    expect((await api.control(id, 'resume')).status).toBe(200);
    expect(await api.until(id, 'success')).toMatchObject({ output: '/b' });
    expect([provider.count('/hold-a'), provider.count('/b')]).toEqual([1, 1]);
  });

  it('pauses at once while a step only waits for its next attempt', async () => {
    const params = { url: `${provider.server.url}/later` };
    const retry = { backoff_ms: 60_000, max_backoff_ms: 60_000 };
    const id = await api.run([{ id: 'a', provider: 'http', action: 'request', params, retry }]);
    await eventually('a failure', async () => (await api.get(id)).steps[0].status === 'retrying');
    const paused = await api.control(id, 'pause', { wait: 10 });
    expect(paused.body).toMatchObject({ status: 'paused', steps: [{ attempts: 1 }] });
    await api.control(id, 'cancel');
  });

  it('goes on when the request is taken back in time, although its host had heard of it', async () => {
    const id = await api.run(three());
    await provider.holds('/hold-a');
    await api.control(id, 'pause');
    const resumed = await api.control(id, 'resume');
    expect(resumed.body).toMatchObject({ status: 'running', pause_requested: false });
    provider.release();
    expect(await api.until(id, 'success')).toMatchObject({ output: '/b' });
    expect([provider.count('/hold-a'), provider.count('/b')]).toEqual([1, 1]);
  });

  it('is paused and resumed over and over without doing anything twice', async () => {
    const paths = Array.from({ length: 40 }, (_, i) => `/storm-${String(i)}`);
    const ids = await Promise.all(
      Array.from({ length: 6 }, () =>
        api.run(paths.map((path, i) => provider.post(`s${String(i)}`, path))),
      ),
    );
    let turns = 0;
    const finished = await eventually('the end of all', async () => {
      turns++;
      for (const id of ids) await api.control(id, turns % 2 === 1 ? 'pause' : 'resume');
      const now = await Promise.all(ids.map((id) => api.get(id)));
      for (const { status, id } of now) if (status === 'paused') await api.control(id, 'resume');
      return now.every(({ status }) => status === 'success') && now;
    });
    expect(finished).toHaveLength(ids.length);
    expect(turns).toBeGreaterThan(1);
    for (const path of paths) expect([path, provider.count(path)]).toEqual([path, ids.length]);
  });

  it('is cancelled within a moment while it is about to pause', async () => {
    const id = await api.run(three());
    await provider.holds('/hold-a');
    await api.control(id, 'pause');
    const begin = performance.now();
    expect((await api.control(id, 'cancel')).body.status).toBe('cancelled');
    await eventually('its end here', () => host.app.get(RunDispatcher).runningCount === 0);
    expect(performance.now() - begin).toBeLessThan(500);
    provider.release();
    expect(provider.count('/b')).toBe(0);
  });

  it('goes on from the step that failed, and sends what had succeeded only once', async () => {
    const stored = await api.send('POST', '/api/provider-credentials/webhook', {
      credentials: { secret: 'whsec_c2lnbmluZy1zZWNyZXQtMDEyMzQ1', endpoint: provider.server.url },
    });
    expect(stored.status).toBe(200);
    const hook = {
      id: 'hook',
      provider: 'webhook',
      action: 'post',
      params: { url: `${provider.server.url}/hook`, body: {} },
    };
    provider.broken.add('/hook');
    const passed = provider.post('passed', '/passed', { on_error: 'continue', depends_on: [] });
    provider.broken.add('/passed');
    const id = await api.run([
      passed,
      provider.post('first', '/first'),
      hook,
      transform('last', { first: '${steps.first.output.body.hits}' }),
    ]);
    const failed = await api.until(id, 'error');
    expect(idsOf(failed)).toEqual(['passed:error', 'first:success', 'hook:error', 'last:skipped']);

    expect((await api.control(id, 'retry')).status).toBe(200);
    const again = await api.until(id, 'error');
    expect(again.steps[2].attempts).toBe(2);
    provider.broken.clear();
    const retried = await api.control(id, 'retry');
    expect(retried.body).toMatchObject({ id, output: null, error: null, finished_at: null });
    const done = await api.until(id, 'success');
    expect(done).toMatchObject({ output: { first: 1 }, error: null });
    expect(idsOf(done)).toEqual(['passed:error', 'first:success', 'hook:success', 'last:success']);
    expect(done.steps[2]).toMatchObject({ attempts: 3, result: { metadata: { attempts: 3 } } });
    // What the plan had let pass is as it was: later steps were built on it.
    expect(['/passed', '/first', '/hook'].map((path) => provider.count(path))).toEqual([1, 1, 3]);
    const keys = provider.server.seen
      .filter(({ url }) => url === '/hook')
      .map(({ headers }) => headers['webhook-id']);
    expect(new Set(keys)).toEqual(new Set([`${id}:hook:0`]));
    const logs = await api.send('GET', `/api/execution-logs?execution_id=${id}&provider=webhook`);
    expect(
      logs.body.logs.map((log: { attempt: number; status: string }) => [log.attempt, log.status]),
    ).toEqual([
      [3, 'success'],
      [2, 'error'],
      [1, 'error'],
    ]);
  });

  it('tries again only the items of a list that failed', async () => {
    const each = {
      ...provider.post('each', '${item}', { for_each: '${input.paths}' }),
      depends_on: [],
    };
    provider.broken.add('/item-1');
    const input = { paths: ['/item-0', '/item-1', '/item-2'] };
    const id = await api.run([provider.post('first', '/first'), each], { input });
    await api.until(id, 'error');
    provider.broken.clear();
    await api.control(id, 'retry');
    const done = await api.until(id, 'success');
    expect(done.output).toHaveLength(3);
    expect(['/first', ...input.paths].map((path) => provider.count(path))).toEqual([1, 1, 2, 1]);
    const fork = await api.control(id, 'fork', { from_step: 'first', wait: 20 });
    expect([fork.body.status, fork.body.output]).toEqual(['success', done.output]);
    expect(input.paths.map((path) => provider.count(path))).toEqual([1, 2, 1]);
  });

  it('is tried again after an outcome that nobody knew, once somebody says so', async () => {
    provider.broken.add('/unknown');
    const id = await api.run([provider.post('a', '/unknown')]);
    await api.until(id, 'error');
    await asSuperuser(
      host.database,
      `update execution_logs set status = 'started', error = null, finished_at = null where execution_id = $1`,
      [id],
    );
    provider.broken.clear();
    await api.control(id, 'retry');
    expect((await api.until(id, 'success')).steps[0]).toMatchObject({ attempts: 2 });
    expect(provider.count('/unknown')).toBe(2);
  });

  it('is retried once, however many ask', async () => {
    provider.broken.add('/once');
    const id = await api.run([provider.post('a', '/once')]);
    await api.until(id, 'error');
    provider.broken.clear();
    const answers = await Promise.all(Array.from({ length: 8 }, () => api.control(id, 'retry')));
    const codes = answers.map(({ status }) => status).sort();
    expect(codes).toEqual([200, ...Array.from({ length: 7 }, () => 409)]);
    await api.until(id, 'success');
    expect(provider.count('/once')).toBe(2);
  });

  it('ends in one way when it is cancelled and retried at once', async () => {
    for (let round = 0; round < 5; round++) {
      provider.broken.add('/race');
      const id = await api.run([provider.post('a', '/race')]);
      await api.until(id, 'error');
      provider.broken.clear();
      const [retry, cancel] = await Promise.all([
        api.control(id, 'retry'),
        api.control(id, 'cancel'),
      ]);
      expect(retry.status).toBe(200);
      const end = await eventually('its end', async () => {
        const { status } = await api.get(id);
        return ['success', 'cancelled'].includes(status) && status;
      });
      expect([cancel.status, end]).toEqual(
        cancel.status === 200 ? [200, 'cancelled'] : [409, 'success'],
      );
    }
  });

  it('either pauses or ends when both come at once', async () => {
    const ends = new Set<string>();
    for (let round = 0; round < 12; round++) {
      const id = await api.run([transform('a', 1), transform('b', 2), provider.post('c', '/end')]);
      const pause = await api.control(id, 'pause', { wait: 10 });
      const status = pause.status === 200 ? pause.body.status : (await api.get(id)).status;
      expect(['paused', 'success']).toContain(status);
      ends.add(status);
      if (status === 'paused') await api.control(id, 'resume');
      expect((await api.until(id, 'success')).pause_requested).toBe(false);
    }
    expect(provider.count('/end')).toBe(12);
    expect(ends.size).toBeGreaterThan(0);
  });

  it('is run again from the start, as the caller, under one idempotency key once', async () => {
    const bob = await host.createUser();
    const plan = await api.send('POST', '/api/plans', {
      name: 'p',
      visibility: 'tenant',
      steps: [provider.post('a', '/replayed'), transform('b', '${input.x}')],
    });
    const path = `/api/plans/${String(plan.body.id)}`;
    const first = await api.send('POST', `${path}/execute`, { input: { x: 5 }, wait: 20 });
    await api.send('PUT', path, { steps: [transform('b', 'newer')] });
    const as = clientOf(host, bob.key);
    const headers = { 'idempotency-key': 'again' };
    const replay = await as.control(first.body.id, 'replay', { wait: 20 }, headers);
    expect(replay).toMatchObject({
      status: 200,
      body: {
        status: 'success',
        trigger: 'replay',
        origin_id: first.body.id,
        owner_id: bob.id,
        visibility: 'tenant',
        plan_version: 1,
        output: 5,
      },
    });
    expect(replay.body.id).not.toBe(first.body.id);
    expect(provider.count('/replayed')).toBe(2);
    const repeated = await as.control(first.body.id, 'replay', { wait: 20 }, headers);
    expect(repeated.body.id).toBe(replay.body.id);
    const other = await as.control(replay.body.id, 'replay', {}, headers);
    expect(other.body.code).toBe('idempotency.key_reused');
    expect(provider.count('/replayed')).toBe(2);

    await api.send('PUT', path, { visibility: 'private' });
    const hidden = await as.control(first.body.id, 'replay');
    expect([hidden.status, hidden.body.detail]).toEqual([404, expect.stringContaining('no plan')]);
    expect((await as.get(first.body.id)).status).toBe('success');
  });

  it('is run again from a step on, with what the others gave', async () => {
    const steps = (last: string) => [
      provider.post('a', '/fork-a'),
      provider.post('beside', '/fork-beside', { depends_on: ['a'] }),
      provider.post('b', '/fork-b', { depends_on: ['a'] }),
      transform(
        'c',
        {
          [last]: '${input.x}',
          a: '${steps.a.output.body.hits}',
          b: '${steps.b.output.body.hits}',
        },
        { depends_on: ['b', 'beside'] },
      ),
    ];
    const plan = await api.send('POST', '/api/plans', { name: 'p', steps: steps('old') });
    const path = `/api/plans/${String(plan.body.id)}`;
    const first = await api.send('POST', `${path}/execute`, { input: { x: 1 }, wait: 20 });
    const id = first.body.id as string;
    const fork = await api.control(id, 'fork', { from_step: 'b', wait: 20 });
    expect(fork).toMatchObject({
      status: 200,
      body: { trigger: 'fork', origin_id: id, output: { old: 1, a: 1, b: 2 } },
    });
    const counts = () => ['/fork-a', '/fork-beside', '/fork-b'].map((url) => provider.count(url));
    expect(counts()).toEqual([1, 1, 2]);
    expect(fork.body.steps[0]).toMatchObject({
      attempts: 1,
      result: { metadata: { copied_from: id } },
    });

    await api.send('PUT', path, { steps: steps('new') });
    const newer = await api.control(id, 'fork', {
      from_step: 'c',
      plan_version: 2,
      input: { x: 2 },
      wait: 20,
    });
    expect(newer.body).toMatchObject({ plan_version: 2, output: { new: 2, a: 1, b: 1 } });
    expect(counts()).toEqual([1, 1, 2]);
    const again = await api.control(newer.body.id, 'fork', { from_step: 'a', wait: 20 });
    expect(again.body).toMatchObject({ plan_version: 2, output: { new: 2, a: 2, b: 3 } });
  });

  it('is run again with the own credential of whoever asks, also where another one is bound', async () => {
    const [ann, bob] = [await host.createUser(), await host.createUser()];
    const [asAnn, asBob] = [clientOf(host, ann.key), clientOf(host, bob.key)];
    const store = async (as: typeof api, secret: string): Promise<string> => {
      const credentials = { api_key: secret, base_url: provider.server.url };
      const stored = await as.send('POST', '/api/provider-credentials/vaulted', { credentials });
      return stored.body.id as string;
    };
    const bound = await store(asAnn, 'key-of-ann');
    const call = (credential?: string) => [
      { id: 'call', provider: 'vaulted', action: 'call_declarative', params: {}, credential },
    ];
    const run = async (id: string, control = 'replay', body = {}): Promise<string> => {
      provider.server.seen.length = 0;
      const answer = await asBob.control(id, control, { wait: 20, ...body });
      const sent = provider.server.seen[0]?.headers['x-api-key'];
      return typeof sent === 'string' ? sent : (answer.body.error?.code as string);
    };
    const save = async (steps: object[]): Promise<string> =>
      (await asAnn.send('POST', '/api/plans', { name: 'p', visibility: 'tenant', steps })).body
        .id as string;
    const start = async (plan: string): Promise<string> =>
      (await asAnn.send('POST', `/api/plans/${plan}/execute`, { wait: 20 })).body.id as string;

    const own = await start(await save(call()));
    expect(await run(own)).toBe('credential.missing');
    await store(asBob, 'key-of-bob');
    expect(await run(own)).toBe('key-of-bob');

    // What Ann bound is for all who run the plan, until she takes it out: also of its older versions.
    const plan = await save(call(bound));
    const first = await start(plan);
    expect(await run(first)).toBe('key-of-ann');
    await asAnn.send('PUT', `/api/plans/${plan}`, { description: 'still bound' });
    expect(await run(first)).toBe('key-of-ann');
    await asAnn.send('PUT', `/api/plans/${plan}`, { steps: call() });
    expect(await run(first)).toBe('credential.missing');
    expect(await run(first, 'fork', { from_step: 'call' })).toBe('credential.missing');
    expect(await run(first, 'fork', { from_step: 'call', plan_version: 3 })).toBe('key-of-bob');

    // An admin who sees it may run it, and still not as Ann.
    const inline = await asAnn.run(call(bound));
    await asAnn.until(inline, 'success');
    const byAdmin = await api.control(inline, 'replay', { wait: 20 });
    expect(byAdmin.body).toMatchObject({
      status: 'error',
      visibility: 'private',
      error: { code: 'credential.missing' },
    });
  });
});

describe('executions of several hosts', () => {
  const provider = new Provider();
  let database: TestDatabase;
  let hosts: TestHost[] = [];
  let key: string;

  beforeAll(async () => {
    await provider.start();
    database = await cloneDatabase();
    const first = await startTestHost({ env: provider.env, database });
    key = first.operatorKey;
    hosts = [first, await startTestHost({ env: provider.env, database })];
  });

  beforeEach(() => {
    provider.server.seen.length = 0;
  });

  afterAll(async () => {
    provider.release();
    for (const host of hosts) await host.close();
    await database.drop();
    await provider.server.close();
  });

  const at = (i: number) => clientOf(hosts[i]!, key);
  const dispatcherOf = (i: number) => hosts[i]!.app.get(RunDispatcher);

  it('are paused, resumed and cancelled through another host within about a second', async () => {
    const path = '/hold-elsewhere';
    const id = await at(0).run([provider.post('a', path), provider.post('b', '/elsewhere')]);
    await provider.holds(path);
    expect(dispatcherOf(0).runningCount).toBe(1);
    expect((await at(1).control(id, 'pause')).body).toMatchObject({ pause_requested: true });
    // Long enough for a heartbeat: it stops at the step's end, and not before.
    const heard = performance.now() + 1_200;
    await eventually('a heartbeat', () => performance.now() > heard);
    expect((await at(1).get(id)).status).toBe('running');
    provider.release();
    await at(1).until(id, 'paused');
    expect(dispatcherOf(0).runningCount).toBe(0);
    expect(provider.count('/elsewhere')).toBe(0);
    await at(1).control(id, 'resume');
    await at(0).until(id, 'success');
    expect([provider.count(path), provider.count('/elsewhere')]).toEqual([1, 1]);

    const other = await at(0).run([provider.post('a', '/hold-cancel')]);
    await provider.holds('/hold-cancel');
    const begin = performance.now();
    await at(1).control(other, 'cancel');
    await eventually('the end of the walk', () => dispatcherOf(0).runningCount === 0);
    expect(performance.now() - begin).toBeLessThan(2_000);
    provider.release();
  });

  it('rest instead of being taken over when their host died before it could pause them', async () => {
    const { run, control, until, get } = at(0);
    const id = await run([provider.post('a', '/hold-dead'), provider.post('b', '/dead')]);
    await provider.holds('/hold-dead');
    await control(id, 'pause');
    provider.release();
    await until(id, 'paused');
    const before = await asSuperuser<{ lease_epoch: number }>(
      database,
      `update executions set status = 'running', pause_requested = true, host_id = gen_random_uuid()
        where id = $1 returning lease_epoch`,
      [id],
    );
    expect((await until(id, 'paused')).pause_requested).toBe(false);
    const after = await asSuperuser<{ lease_epoch: number; host_id: string | null }>(
      database,
      'select lease_epoch, host_id from executions where id = $1',
      [id],
    );
    expect(after).toEqual([{ lease_epoch: before[0]!.lease_epoch + 1, host_id: null }]);
    expect(provider.count('/dead')).toBe(0);
    // The same without the request is taken over.
    await asSuperuser(
      database,
      `update executions set status = 'running', host_id = gen_random_uuid() where id = $1`,
      [id],
    );
    await until(id, 'success');
    expect((await get(id)).steps[1].status).toBe('success');
    expect(provider.count('/dead')).toBe(1);
  });

  it('stay paused over a restart of all hosts', async () => {
    const id = await at(0).run([provider.post('a', '/hold-restart'), provider.post('b', '/after')]);
    await provider.holds('/hold-restart');
    await at(0).control(id, 'pause');
    provider.release();
    const paused = await at(0).until(id, 'paused');
    for (const host of hosts.splice(0)) await host.close();
    hosts = [await startTestHost({ env: provider.env, database })];
    const started = performance.now() + 1_500;
    await eventually('a claim or two', () => performance.now() > started);
    expect(await at(0).get(id)).toEqual(paused);
    expect(provider.count('/after')).toBe(0);
    await at(0).control(id, 'resume');
    expect((await at(0).until(id, 'success')).steps[0].attempts).toBe(1);
    expect([provider.count('/hold-restart'), provider.count('/after')]).toEqual([1, 1]);
  });
});
