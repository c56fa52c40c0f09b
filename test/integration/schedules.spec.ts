import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { asSuperuser } from '../support/as-superuser.js';
import { eventually } from '../support/eventually.js';
import { cloneDatabase, type TestDatabase } from '../support/test-database.js';
import { startTestHost, type Answer, type Member, type TestHost } from '../support/test-host.js';

const STEPS = [{ provider: 'logic', action: 'transform', params: { value: '${input.n}' } }];
/** Runs until it is cancelled, or for as long as a sandbox call may. */
const SLOW = [
  {
    provider: 'code',
    action: 'javascript',
    params: { source: 'await new Promise((done) => setTimeout(done, 20000))' },
  },
];
const NEVER_SOON = { cron: '0 0 1 1 *' };

describe('schedules', () => {
  let database: TestDatabase;
  let host: TestHost;
  let other: TestHost;
  let admin: string;
  let member: Member;

  beforeAll(async () => {
    database = await cloneDatabase();
    host = await startTestHost({ database });
    other = await startTestHost({ database });
    admin = (await host.createTenant('a')).api_key;
    member = await host.createUser({ adminKey: admin });
  });

  afterAll(async () => {
    await other.close();
    await host.close();
    await database.drop();
  });

  const send = (
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    path: string,
    body?: unknown,
    key = admin,
  ): Promise<Answer> => host.send({ method, path, key, ...(body === undefined ? {} : { body }) });
  const makePlan = async (plan: object = {}, key = admin): Promise<string> => {
    const answer = await send('POST', '/api/plans', { name: 'p', steps: STEPS, ...plan }, key);
    expect([answer.status, answer.body.errors]).toEqual([201, undefined]);
    return answer.body.id as string;
  };
  const schedule = async (planId: string, body: object, key = admin): Promise<Answer> => {
    const answer = await send('POST', `/api/plans/${planId}/schedule`, body, key);
    expect([answer.status, answer.body.detail]).toEqual([expect.any(Number), undefined]);
    return answer;
  };
  const scheduleOf = async (planId: string): Promise<Answer['body']> =>
    (await send('GET', `/api/plans/${planId}/schedule`)).body;
  const runsOf = async (planId: string): Promise<Answer['body'][]> =>
    (await send('GET', `/api/executions?plan_id=${planId}&limit=200`)).body.executions;
  const fires = async (
    planId: string,
    outcome = 'started',
  ): Promise<{ nominal_at: Date; execution_id: string | null }[]> =>
    await asSuperuser(
      database,
      `select f.nominal_at, f.execution_id from schedule_fires f join schedules s on s.id = f.schedule_id
        where s.plan_id = $1 and f.outcome = $2 order by f.nominal_at`,
      [planId, outcome],
    );
  /** As if it had been due so many seconds ago, and no host had been there since. */
  const comeBackAfter = async (planId: string, seconds: number): Promise<void> => {
    await asSuperuser(
      database,
      `update schedules s
          set next_fire_at = t, due_at = t, anchor_at = t - coalesce(every_seconds, 0) * interval '1 s'
         from (select date_trunc('second', now()) - $2 * interval '1 s' as t) late
        where plan_id = $1`,
      [planId, seconds],
    );
  };
  const countRollbacks = async (): Promise<number> => {
    const rows = await asSuperuser<{ n: string }>(
      database,
      'select xact_rollback as n from pg_stat_database where datname = current_database()',
    );
    return Number(rows[0]?.n);
  };
  const isFree = async (planId: string): Promise<boolean> =>
    (await runsOf(planId)).every(({ status }) =>
      ['success', 'error', 'cancelled'].includes(status as string),
    );

  describe('through the API', () => {
    it('are made, read, listed, replaced and deleted, under all three names', async () => {
      const planId = await makePlan({ name: 'nightly' });
      const path = `/api/plans/${planId}/schedule`;
      expect((await send('GET', path)).status).toBe(404);
      const made = await send('POST', path, {
        cron: '0 9 * * 1-5',
        timezone: 'Europe/Berlin',
        input: { n: 1 },
      });
      expect([made.status, made.headers['location']]).toEqual([201, path]);
      expect(made.body).toMatchObject({
        plan_id: planId,
        plan_name: 'nightly',
        cron: '0 9 * * 1-5',
        every_seconds: null,
        at: null,
        timezone: 'Europe/Berlin',
        overlap: 'skip',
        catch_up: 'none',
        jitter_seconds: 0,
        input: { n: 1 },
        status: 'active',
        error: null,
        next_run_at: expect.any(String),
        last_run_at: null,
        last_status: null,
      });
      for (const name of ['plans', 'execution-plans', 'workflows']) {
        expect((await send('GET', `/api/${name}/${planId}/schedule`)).body).toEqual(made.body);
      }
      const listed = await send('GET', '/api/scheduler/jobs');
      expect(listed.body.jobs).toEqual([made.body]);
      const replaced = await send('POST', `/api/workflows/${planId}/schedule`, {
        every_seconds: 3600,
        overlap: 'queue',
      });
      expect(replaced.status).toBe(200);
      expect(replaced.body).toMatchObject({
        id: made.body.id,
        cron: null,
        every_seconds: 3600,
        overlap: 'queue',
        input: {},
      });
      expect((await send('DELETE', path)).body).toEqual({ success: true });
      expect((await send('GET', path)).status).toBe(404);
      expect((await send('DELETE', path)).status).toBe(404);
      expect((await send('GET', '/api/scheduler/jobs')).body.jobs).toEqual([]);
      const { body } = await send('GET', '/api/audit-log?limit=10');
      expect(
        body.events.filter(({ action }: { action: string }) => action.startsWith('schedule.')),
      ).toMatchObject([
        { action: 'schedule.deleted', details: { plan_id: planId } },
        { action: 'schedule.changed', details: { change: 'replaced' } },
        { action: 'schedule.changed', details: { change: 'created' } },
      ]);
    });

    it('are refused by field', async () => {
      const planId = await makePlan();
      for (const [body, pointer] of [
        [{}, '/cron'],
        [{ cron: '* * * * *', every_seconds: 5 }, '/cron'],
        [{ cron: 'often' }, '/cron'],
        [{ cron: '0 0 30 2 *' }, '/cron'],
        [{ cron: '* * * * *', timezone: 'Mars/Olympus' }, '/timezone'],
        [{ every_seconds: 0 }, '/every_seconds'],
        [{ every_seconds: 31_536_001 }, '/every_seconds'],
        [{ at: '2020-01-01T00:00:00Z' }, '/at'],
        [{ every_seconds: 5, overlap: 'maybe' }, '/overlap'],
        [{ every_seconds: 5, catch_up: 'some' }, '/catch_up'],
        [{ every_seconds: 5, starts_at: '2040-01-01', ends_at: '2039-01-01' }, '/ends_at'],
        [{ every_seconds: 5, owner_id: planId }, '/owner_id'],
      ] as const) {
        const answer = await send('POST', `/api/plans/${planId}/schedule`, body);
        expect([body, answer.status, answer.body.errors?.[0]?.pointer]).toEqual([
          body,
          400,
          pointer,
        ]);
      }
      expect((await send('GET', `/api/plans/${planId}/schedule`)).status).toBe(404);
    });

    it('page by cursor', async () => {
      const planIds = [await makePlan(), await makePlan(), await makePlan()];
      for (const planId of planIds) await schedule(planId, NEVER_SOON);
      const first = await send('GET', '/api/scheduler/jobs?limit=2');
      const second = await send(
        'GET',
        `/api/scheduler/jobs?limit=2&cursor=${String(first.body.next_cursor)}`,
      );
      const listed = [...first.body.jobs, ...second.body.jobs].map(
        ({ plan_id: id }) => id as string,
      );
      expect(listed).toEqual(planIds.reverse());
      expect(second.body.next_cursor).toBeNull();
      for (const planId of planIds) await send('DELETE', `/api/plans/${planId}/schedule`);
    });

    it('show their next times with offsets', async () => {
      const planId = await makePlan();
      await schedule(planId, {
        cron: '30 2 * * *',
        timezone: 'Europe/Berlin',
        starts_at: '2040-03-24',
        jitter_seconds: 60,
      });
      const { body } = await send('GET', `/api/plans/${planId}/schedule/preview?n=3`);
      expect(body.fire_times).toMatchObject([
        {
          nominal_at: '2040-03-24T01:30:00.000Z',
          local: '2040-03-24T02:30:00+01:00',
          offset: '+01:00',
        },
        {
          nominal_at: '2040-03-25T01:00:00.000Z',
          local: '2040-03-25T03:00:00+02:00',
          offset: '+02:00',
        },
        {
          nominal_at: '2040-03-26T00:30:00.000Z',
          local: '2040-03-26T02:30:00+02:00',
          offset: '+02:00',
        },
      ]);
      const delays = body.fire_times.map(
        (time: { nominal_at: string; run_at: string }) =>
          Date.parse(time.run_at) - Date.parse(time.nominal_at),
      );
      expect(new Set(delays).size).toBe(1);
      expect(delays[0]).toBeLessThan(60_000);
      for (const n of ['0', '101', 'x']) {
        expect((await send('GET', `/api/plans/${planId}/schedule/preview?n=${n}`)).status).toBe(
          400,
        );
      }
      expect(
        (await send('GET', `/api/plans/${planId}/schedule/preview?n=100`)).body.fire_times,
      ).toHaveLength(100);
    });

    it("are their owner's and the admins': others see those of shared plans", async () => {
      const shared = await makePlan({ visibility: 'tenant' });
      const hidden = await makePlan();
      await schedule(shared, NEVER_SOON);
      await schedule(hidden, NEVER_SOON);
      const path = `/api/plans/${shared}/schedule`;
      expect((await send('GET', path, undefined, member.key)).status).toBe(200);
      expect(
        (await send('GET', `/api/plans/${hidden}/schedule`, undefined, member.key)).status,
      ).toBe(404);
      const seen = (await send('GET', '/api/scheduler/jobs', undefined, member.key)).body.jobs;
      expect(seen.map(({ plan_id: id }: { plan_id: string }) => id)).toEqual([shared]);
      for (const [method, sub] of [
        ['POST', ''],
        ['DELETE', ''],
        ['POST', '/pause'],
        ['POST', '/resume'],
        ['POST', '/run'],
      ] as const) {
        const answer = await send(
          method,
          `${path}${sub}`,
          method === 'POST' && sub === '' ? NEVER_SOON : undefined,
          member.key,
        );
        expect([method, sub, answer.status]).toEqual([method, sub, 403]);
      }
      const own = await makePlan({}, member.key);
      expect((await schedule(own, NEVER_SOON, member.key)).body.run_as).toBe(member.id);
      // The admin who takes it over is who it runs as from then on.
      expect((await schedule(own, NEVER_SOON)).body.run_as).not.toBe(member.id);
      for (const planId of [shared, hidden, own])
        await send('DELETE', `/api/plans/${planId}/schedule`);
    });

    it('of a member whom an admin acts for run as the member', async () => {
      const planId = await makePlan({ user_id: member.externalId });
      const { body } = await schedule(planId, { ...NEVER_SOON, user_id: member.externalId });
      expect(body.run_as).toBe(member.id);
    });
  });

  describe('that fire', () => {
    it('do so once for each due time over two hosts, with a run for each', async () => {
      const planIds = await Promise.all(Array.from({ length: 10 }, () => makePlan()));
      for (const planId of planIds) {
        await schedule(planId, { cron: '* * * * * *', overlap: 'allow', input: { n: 7 } });
      }
      await eventually('ten seconds of fires of each', async () => {
        const all = await Promise.all(planIds.map((planId) => fires(planId)));
        return all.every((fired) => fired.length >= 10);
      });
      for (const planId of planIds) await send('POST', `/api/plans/${planId}/schedule/pause`);
      for (const planId of planIds) {
        await eventually('the end of the runs', () => isFree(planId));
        const [fired, runs] = [await fires(planId), await runsOf(planId)];
        expect(fired.length).toBeGreaterThanOrEqual(10);
        expect(fired.map((fire) => fire.execution_id).sort()).toEqual(
          runs.map(({ id }) => id as string).sort(),
        );
        // Second by second: none twice, and none left out.
        const seconds = fired.map((fire) => fire.nominal_at.getTime() / 1000);
        expect(seconds).toEqual(seconds.map((_, i) => (seconds[0] ?? 0) + i));
        expect(runs.every((run) => run.trigger === 'schedule' && run.output === 7)).toBe(true);
      }
      const { body } = await send('GET', `/api/plans/${planIds[0] ?? ''}/schedule`);
      expect(body).toMatchObject({
        status: 'paused',
        next_run_at: null,
        last_status: 'success',
        last_run_at: expect.any(String),
      });
      const [{ id }] = await runsOf(planIds[0] ?? '');
      expect(body.last_execution_id).toBe(id);
    }, 40_000);

    it('at one moment do so once and have ended', async () => {
      const planId = await makePlan();
      await schedule(planId, { at: new Date(Date.now() + 1_200).toISOString(), input: { n: 3 } });
      const done = await eventually('its end', async () => {
        const body = await scheduleOf(planId);
        return body.last_status === 'success' && body;
      });
      expect(done).toMatchObject({ status: 'ended', next_run_at: null });
      expect(await runsOf(planId)).toHaveLength(1);
      const resumed = await send('POST', `/api/plans/${planId}/schedule/resume`);
      expect(resumed.status).toBe(409);
    });

    it('store all of a fire or nothing', async () => {
      const planId = await makePlan();
      await schedule(planId, { every_seconds: 3600, input: { n: 1 } });
      // The last statement of the transaction fails, of the one for many and of the one for each.
      const roles = 'stepwell_app, stepwell_system';
      await asSuperuser(database, `revoke delete on schedule_fires from ${roles}`);
      try {
        await comeBackAfter(planId, 1);
        const before = await scheduleOf(planId);
        const rollbacks = await countRollbacks();
        await eventually('four failed tries', async () => (await countRollbacks()) > rollbacks + 3);
        expect(await runsOf(planId)).toEqual([]);
        expect(await fires(planId)).toEqual([]);
        expect(await scheduleOf(planId)).toEqual(before);
      } finally {
        await asSuperuser(database, `grant delete on schedule_fires to ${roles}`);
      }
      await eventually('the fire', async () => (await fires(planId)).length === 1);
      expect(await runsOf(planId)).toHaveLength(1);
    });

    it('keep a bounded history', async () => {
      const planId = await makePlan();
      await schedule(planId, { every_seconds: 3600, input: { n: 1 } });
      await asSuperuser(
        database,
        `insert into schedule_fires (tenant_id, schedule_id, nominal_at, outcome)
         select tenant_id, id, now() - n * interval '1 day', 'skipped'
           from schedules, generate_series(1, 300) n where plan_id = $1`,
        [planId],
      );
      await comeBackAfter(planId, 0);
      await eventually('the fire', async () => (await fires(planId)).length === 1);
      expect((await fires(planId, 'skipped')).length).toBe(99);
    });
  });

  describe('whose run before has not ended', () => {
    const begin = async (overlap: string): Promise<string> => {
      const planId = await makePlan({ steps: SLOW });
      await schedule(planId, { every_seconds: 3600, overlap });
      await comeBackAfter(planId, 3);
      await eventually(
        'the first run',
        async () => (await runsOf(planId))[0]?.status === 'running',
      );
      // Another time than before, also within the same second.
      await comeBackAfter(planId, 2);
      return planId;
    };
    const end = async (planId: string): Promise<void> => {
      await send('DELETE', `/api/plans/${planId}/schedule`);
      for (const { id } of await runsOf(planId))
        await send('POST', `/api/executions/${String(id)}/cancel`);
    };

    it('skip a time, and say so', async () => {
      const planId = await begin('skip');
      await eventually(
        'the skipped time',
        async () => (await fires(planId, 'skipped')).length === 1,
      );
      expect(await runsOf(planId)).toHaveLength(1);
      const { last_fire: lastFire } = await scheduleOf(planId);
      expect(lastFire).toMatchObject({
        outcome: 'skipped',
        reason: expect.stringContaining('not ended'),
      });
      const run = await send('POST', `/api/plans/${planId}/schedule/run`);
      expect([run.status, run.body.code]).toEqual([409, 'state.conflict']);
      await end(planId);
    });

    it('queue it, one at a time', async () => {
      const planId = await begin('queue');
      await eventually(
        'the waiting time',
        async () => (await fires(planId, 'waiting')).length === 1,
      );
      await comeBackAfter(planId, 1);
      await eventually('another one', async () => (await fires(planId, 'waiting')).length === 2);
      expect(await runsOf(planId)).toHaveLength(1);
      for (const left of [1, 0]) {
        const [running] = await runsOf(planId);
        await send('POST', `/api/executions/${String(running.id)}/cancel`);
        await eventually(
          'the next run',
          async () => (await fires(planId, 'waiting')).length === left,
        );
        expect((await runsOf(planId)).filter(({ status }) => status !== 'cancelled')).toHaveLength(
          1,
        );
      }
      await end(planId);
    });

    it('start beside it', async () => {
      const planId = await begin('allow');
      await eventually(
        'two runs',
        async () =>
          (await runsOf(planId)).filter(({ status }) => status === 'running').length === 2,
      );
      await end(planId);
    });

    it('cancel it first', async () => {
      const planId = await begin('cancel');
      await eventually('the second run', async () => (await runsOf(planId)).length === 2);
      const statuses = (await runsOf(planId)).map(({ status }) => status as string);
      expect(statuses[1]).toBe('cancelled');
      expect(statuses[0]).not.toBe('cancelled');
      await end(planId);
    });
  });

  describe('that nobody was there for', () => {
    it.each([
      { catchUp: 'none', late: 50, runs: 1, missed: 0 },
      { catchUp: 'none', late: 600, runs: 0, missed: 1 },
      { catchUp: 'last', late: 7_300, runs: 1, missed: 1 },
      { catchUp: 'all', late: 7_300, runs: 3, missed: 0 },
    ])('are caught up or not: %o', async ({ catchUp, late, runs, missed }) => {
      const planId = await makePlan();
      await schedule(planId, { every_seconds: 3_600, catch_up: catchUp, overlap: 'allow' });
      await comeBackAfter(planId, late);
      await eventually('the next time', async () => {
        const { next_run_at: next } = await scheduleOf(planId);
        return Date.parse(next as string) > Date.now();
      });
      expect(await runsOf(planId)).toHaveLength(runs);
      expect(await fires(planId)).toHaveLength(runs);
      expect(await fires(planId, 'missed')).toHaveLength(missed);
    });
  });

  describe('that may not run', () => {
    const stopped = async (planId: string, code: string): Promise<Answer['body']> => {
      await comeBackAfter(planId, 0);
      await eventually('the stop', async () => {
        const rows = await asSuperuser<{ status: string }>(
          database,
          `select status from schedules where plan_id = $1`,
          [planId],
        );
        return rows[0]?.status === 'error';
      });
      const body = await scheduleOf(planId);
      expect(body).toMatchObject({ status: 'error', next_run_at: null, error: { code } });
      const { jobs } = (await send('GET', '/api/scheduler/jobs')).body;
      expect(jobs.find((job: { plan_id: string }) => job.plan_id === planId)).toEqual(body);
      expect(await runsOf(planId)).toEqual([]);
      return body;
    };

    it('stop with a deleted plan, and say so at once', async () => {
      const planId = await makePlan();
      await schedule(planId, NEVER_SOON);
      await send('DELETE', `/api/plans/${planId}`);
      expect(await scheduleOf(planId)).toMatchObject({
        status: 'error',
        error: { code: 'plan.deleted' },
      });
      await stopped(planId, 'plan.deleted');
      expect((await send('POST', `/api/plans/${planId}/schedule/resume`)).status).toBe(409);
      expect((await send('POST', `/api/plans/${planId}/schedule`, NEVER_SOON)).status).toBe(404);
    });

    it('stop with a disabled user or one who may run nothing, and run as who resumes them', async () => {
      for (const [change, code] of [
        [{ disabled: true }, 'owner.disabled'],
        [{ role: 'viewer' }, 'owner.not_permitted'],
      ] as const) {
        const leaver = await host.createUser({ adminKey: admin });
        const planId = await makePlan({}, leaver.key);
        await schedule(planId, { every_seconds: 3600, input: { n: 2 } }, leaver.key);
        await send('PUT', `/api/users/${leaver.id}`, change);
        await stopped(planId, code);
        const resumed = await send('POST', `/api/plans/${planId}/schedule/resume`);
        expect(resumed.body).toMatchObject({ status: 'active', error: null });
        expect(resumed.body.run_as).not.toBe(leaver.id);
        await comeBackAfter(planId, 0);
        await eventually('a run', async () => (await runsOf(planId))[0]?.output === 2);
      }
    });

    it('stop when their user sees the plan no more', async () => {
      const demoted = await host.createUser({ adminKey: admin, role: 'admin' });
      const planId = await makePlan({}, member.key);
      await schedule(planId, { every_seconds: 3600 }, demoted.key);
      await send('PUT', `/api/users/${demoted.id}`, { role: 'user' });
      await stopped(planId, 'plan.not_visible');
    });

    // Or a member would make an admin's rights, and credentials, run steps of his choice.
    it('stop when a member edits what runs as an admin, and go on with what an admin edits', async () => {
      const planId = await makePlan({}, member.key);
      await schedule(planId, { every_seconds: 3600, input: { n: 4 } });
      const edited = [{ ...STEPS[0], params: { value: 'mine' } }];
      await send('PUT', `/api/plans/${planId}`, { steps: edited }, member.key);
      await stopped(planId, 'plan.changed_by_other');
      expect(
        (await send('POST', `/api/plans/${planId}/schedule/run`, undefined, member.key)).status,
      ).toBe(409);
      await send('POST', `/api/plans/${planId}/schedule/resume`, undefined, member.key);
      expect((await scheduleOf(planId)).run_as).toBe(member.id);
      await send('PUT', `/api/plans/${planId}`, { steps: STEPS });
      await comeBackAfter(planId, 0);
      const run = await eventually('a run', async () => {
        const [last] = await runsOf(planId);
        return last?.status === 'success' && last;
      });
      expect(run).toMatchObject({ owner_id: member.id, plan_version: 3, output: 4 });
    });
  });

  it('rest while they are paused, and miss nothing by it', async () => {
    const planId = await makePlan();
    await schedule(planId, { every_seconds: 3600, catch_up: 'all' });
    const path = `/api/plans/${planId}/schedule`;
    expect((await send('POST', `${path}/pause`)).body).toMatchObject({
      status: 'paused',
      next_run_at: null,
    });
    expect((await send('POST', `${path}/pause`)).status).toBe(200);
    const resumed = await send('POST', `${path}/resume`);
    expect(resumed.body.status).toBe('active');
    expect(Date.parse(resumed.body.next_run_at as string)).toBeGreaterThan(Date.now() - 1_000);
    expect(await runsOf(planId)).toEqual([]);
  });

  it('run by hand as they would by themselves, once per idempotency key', async () => {
    const planId = await makePlan({}, member.key);
    await schedule(planId, { ...NEVER_SOON, input: { n: 5 } }, member.key);
    const run = (key: string, path = planId): Promise<Answer> =>
      host.send({
        method: 'POST',
        path: `/api/plans/${path}/schedule/run`,
        key: admin,
        headers: { 'idempotency-key': key },
      });
    const first = await run('k1');
    expect([first.status, first.headers['location']]).toEqual([
      202,
      `/api/executions/${String(first.body.id)}`,
    ]);
    expect(first.body).toMatchObject({
      owner_id: member.id,
      trigger: 'schedule',
      status: 'queued',
      input: { n: 5 },
    });
    expect((await run('k1')).body.id).toBe(first.body.id);
    await eventually('its end', async () => (await scheduleOf(planId)).last_status === 'success');
    expect(await runsOf(planId)).toHaveLength(1);
    const another = await makePlan({}, member.key);
    await schedule(another, NEVER_SOON, member.key);
    expect((await run('k1', another)).body.code).toBe('idempotency.key_reused');
  });

  it('are behind health: active while the tick runs, and no longer', async () => {
    const health = (): Promise<Answer> => host.send({ path: '/api/health', key: null });
    expect((await health()).body).toMatchObject({ status: 'healthy', scheduler: 'active' });
    await asSuperuser(
      database,
      'revoke execute on function due_schedules(integer) from stepwell_app',
    );
    try {
      const sick = await eventually('the scheduler being inactive', async () => {
        const { status, body } = await health();
        return body.scheduler === 'inactive' && { status, body };
      });
      expect(sick.status).toBe(200);
      expect(sick.body).toMatchObject({
        status: 'degraded',
        reasons: [expect.stringMatching(/^scheduler: no tick worked for \d+ s: permission denied/)],
      });
    } finally {
      await asSuperuser(
        database,
        'grant execute on function due_schedules(integer) to stepwell_app',
      );
    }
    await eventually(
      'the scheduler being active',
      async () => (await health()).body.scheduler === 'active',
    );
  });
});
