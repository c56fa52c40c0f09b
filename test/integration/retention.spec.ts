import { randomUUID } from 'node:crypto';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';

import { Retention, type Retained } from '../../src/execution/retention/retention.js';
import {
  daysAgo,
  insertBelongings,
  insertOldRun,
  makeWeekOf,
  moveEngineClock,
  type OldRun,
} from '../support/journal-rows.js';
import { eventually } from '../support/eventually.js';
import { startTestHost, type TestHost } from '../support/test-host.js';

describe('retention', () => {
  let host: TestHost;
  let admin: pg.Client;
  let caller: { tenantId: string; ownerId: string };

  beforeEach(async () => {
    host = await startTestHost();
    admin = new pg.Client({ connectionString: host.database.adminUrl });
    await admin.connect();
    caller = await firstUser('default');
  });

  afterEach(async () => {
    await admin.end();
    await host.close();
  });

  it('drops weeks that are over for everybody, with their executions, and nothing else', async () => {
    const kept = await insertAll([{ begunAt: daysAgo(1) }, { begunAt: daysAgo(80) }]);
    await insertAll([
      { begunAt: daysAgo(100) },
      { begunAt: daysAgo(150), status: 'error' },
      { begunAt: daysAgo(200), status: 'cancelled', attempts: [{}, { status: 'error' }] },
    ]);
    const before = await weeks();
    const retained = await retain();
    expect(retained).toMatchObject({ executions: 3, logs: 0, isDone: true });
    expect(await executions()).toEqual(kept);
    expect(await journals()).toEqual(kept);
    expect(await weeks()).toEqual(before.filter((week) => !retained.weeks.includes(week)));
    for (const week of retained.weeks) {
      expect(Date.parse(week)).toBeLessThanOrEqual(daysAgo(97).getTime());
    }
    expect(retained.weeks).toHaveLength(3);
    expect(await retain()).toEqual({ executions: 0, logs: 0, weeks: [], isDone: true });
  });

  it('never touches what has not ended, nor what ended lately, and clears the week around it', async () => {
    const begunAt = daysAgo(150);
    const unfinished = ['queued', 'running', 'waiting', 'paused'];
    const kept = await insertAll([
      ...unfinished.map((status) => ({ begunAt, status })),
      { begunAt, finishedAt: daysAgo(2) },
    ]);
    await insertAll([{ begunAt }, { begunAt, attempts: [{}, {}] }]);
    // Paused, and no host may take them up: what is asked is what retention does.
    await admin.query(
      `update executions set status = 'paused' where status in ('queued', 'running')`,
    );
    const week = await mondayOf(begunAt);
    expect(await retain()).toMatchObject({ executions: 2, logs: 3, isDone: true });
    expect(await executions()).toEqual(kept);
    expect(await journals()).toEqual(kept);
    expect(await weeks()).toContain(week);
    await admin.query(`update executions set status = 'success', finished_at = $1`, [begunAt]);
    expect((await retain()).weeks).toEqual([week]);
    expect([await executions(), await journals()]).toEqual([[], []]);
  });

  it('takes the time that the operator gives a tenant, shorter or longer', async () => {
    const users = new Map<string, { tenantId: string; ownerId: string }>();
    for (const [name, days] of [
      ['short', 10],
      ['long', 180],
    ] as const) {
      await host.createTenant(name);
      users.set(name, await firstUser(name));
      const path = `/api/admin/tenants/${name}/limits`;
      const body = { log_retention_days: days };
      const set = await host.send({ method: 'PUT', path, body });
      expect(set).toMatchObject({ status: 200, body });
      expect((await host.send({ path })).body).toMatchObject(body);
    }
    const of = async (name: string, days: number): Promise<string[]> =>
      await insertAll([
        { ...(users.get(name) ?? caller), begunAt: daysAgo(days), attempts: [{}, {}] },
      ]);
    const kept = [
      ...(await of('default', 30)),
      ...(await of('short', 9)),
      ...(await of('long', 120)),
    ].sort();
    await of('default', 100);
    await of('short', 11);
    await of('short', 200);
    await of('long', 195);
    const retained = await retain();
    expect(retained).toMatchObject({ executions: 4, isDone: true });
    // Row by row where others keep the week.
    expect(retained.logs).toBe(4);
    expect(retained.weeks).toContain(await mondayOf(daysAgo(195)));
    expect(retained.weeks).not.toContain(await mondayOf(daysAgo(120)));
    expect(await executions()).toEqual(kept);
    expect(await journals()).toEqual(kept);
    for (const days of [0, 36_501, 1.5]) {
      const body = { log_retention_days: days };
      const refused = await host.send({
        ...{ method: 'PUT' as const, path: '/api/admin/tenants/short/limits', body },
      });
      expect(refused).toMatchObject({
        status: 400,
        body: { errors: [{ pointer: '/log_retention_days' }] },
      });
    }
  });

  it('takes along what belongs to an execution, and leaves what refers to it', async () => {
    const [old = ''] = await insertAll([{ begunAt: daysAgo(100), idempotencyKey: 'k' }]);
    await insertBelongings(admin, { ...caller, id: old });
    const [replay = ''] = await insertAll([{ begunAt: daysAgo(1), originId: old }]);
    await insertBelongings(admin, { ...caller, id: replay });
    const steps = [{ id: 's', provider: 'logic', action: 'transform', params: { value: 1 } }];
    const plan = await host.send({
      method: 'POST',
      path: '/api/plans',
      body: { name: 'p', steps },
    });
    const scheduleId = randomUUID();
    await admin.query(
      `insert into schedules (tenant_id, id, plan_id, owner_id, plan_version, every_seconds, timezone, anchor_at,
                              overlap, catch_up, catch_up_seconds, jitter_seconds, input, status)
       values ($1, $2, $3, $4, 1, 60, 'UTC', now(), 'skip', 'none', 60, 0, '{}', 'paused')`,
      [caller.tenantId, scheduleId, plan.body.id, caller.ownerId],
    );
    await admin.query(
      `insert into schedule_fires (tenant_id, schedule_id, nominal_at, outcome, execution_id)
       values ($1, $2, now(), 'started', $3)`,
      [caller.tenantId, scheduleId, old],
    );
    expect(await retain()).toMatchObject({ executions: 1 });
    expect(await executions()).toEqual([replay]);
    const { rows } = await admin.query(
      `select (select array_agg(execution_id) from execution_blobs) as blobs,
              (select array_agg(execution_id) from execution_waits) as waits,
              (select origin_id from executions) as origin,
              (select array_agg(outcome || ' ' || coalesce(execution_id::text, 'gone')) from schedule_fires) as fires`,
    );
    expect(rows).toEqual([
      { blobs: [replay], waits: [replay], origin: null, fires: ['started gone'] },
    ]);
    // Whoever asks for it is told, and its key is free.
    for (const path of ['retry', 'replay', 'fork']) {
      const body = path === 'fork' ? { from_step: 's' } : undefined;
      const answer = await host.send({
        method: 'POST',
        path: `/api/executions/${old}/${path}`,
        body,
      });
      expect([path, answer.status, answer.body.code]).toEqual([path, 404, 'request.not_found']);
    }
    const again = await host.send({
      method: 'POST',
      path: `/api/plans/${String(plan.body.id)}/execute`,
      body: {},
      headers: { 'idempotency-key': 'k' },
    });
    expect([200, 202]).toContain(again.status);
    expect(again.body.id).not.toBe(old);
  });

  it('keeps what an execution ran for as long as that is there', async () => {
    const [parent = ''] = await insertAll([{ begunAt: daysAgo(150), status: 'waiting' }]);
    const [child = ''] = await insertAll([{ begunAt: daysAgo(149), parentId: parent }]);
    await insertAll([{ begunAt: daysAgo(149) }]);
    expect(await retain()).toMatchObject({ executions: 1 });
    expect(await executions()).toEqual([parent, child].sort());
    expect(await journals()).toEqual([parent, child].sort());
    await admin.query(
      `update executions set status = 'error', finished_at = started_at where id = $1`,
      [parent],
    );
    expect(await retain()).toMatchObject({ executions: 2, isDone: true });
    expect([await executions(), await journals()]).toEqual([[], []]);
  });

  it('does the same on two hosts at once', async () => {
    const other = await startTestHost({ database: host.database });
    try {
      for (let i = 0; i < 40; i++) {
        const attempts = Array.from({ length: 3 }, () => ({}));
        await insertAll([{ begunAt: daysAgo(98 + i), attempts }]);
      }
      const kept = await insertAll([{ begunAt: daysAgo(100), status: 'paused' }]);
      const done = await Promise.all([retain(), retain(other), retain(), retain(other)]);
      expect(done.reduce((sum, { executions: n }) => sum + n, 0)).toBe(40);
      // Whoever found another at work says so, and comes again.
      await eventually('the rest', async () => (await retain()).isDone);
      expect(await executions()).toEqual(kept);
      expect(await journals()).toEqual(kept);
    } finally {
      await other.close();
    }
  });

  it('does not wait for whoever reads the journal, but drops the week later', async () => {
    await insertAll([{ begunAt: daysAgo(150) }]);
    const week = await mondayOf(daysAgo(150));
    const reader = new pg.Client(host.database.adminUrl);
    await reader.connect();
    await reader.query('begin; select from execution_logs');
    const begin = performance.now();
    const retained = await retain();
    expect(performance.now() - begin).toBeLessThan(8_000);
    expect(retained).toMatchObject({ executions: 1, weeks: [], isDone: false });
    expect(await weeks()).toContain(week);
    await reader.end();
    expect((await retain()).weeks).toContain(week);
  });

  it('stops when it is told to', async () => {
    await insertAll([{ begunAt: daysAgo(150) }]);
    const broken = await host.app.get(Retention).retain(AbortSignal.abort());
    expect(broken).toEqual({ executions: 0, logs: 0, weeks: [], isDone: false });
    expect(await executions()).toHaveLength(1);
  });

  it('goes by the clock of the engine, as a job of the queue', async () => {
    const [id = ''] = await insertAll([{ begunAt: daysAgo(30) }]);
    expect(await retain()).toMatchObject({ executions: 0 });
    await moveEngineClock(admin, 70);
    await admin.query(`select add_work('retention', '{}', 'retention', null)`);
    await eventually('the end of its time', async () => !(await executions()).includes(id));
    await eventually('the drop of its week', async () => {
      return !(await weeks()).includes(await mondayOf(daysAgo(30)));
    });
    await moveEngineClock(admin, 0);
    const next = await eventually('the next job', async () => {
      const { rows } = await admin.query<{ minutes: number }>(
        `select extract(epoch from run_at - now())::int / 60 as minutes from graphile_worker.jobs
          where task_identifier = 'retention' and locked_at is null and run_at > now()`,
      );
      return rows[0];
    });
    expect(next.minutes).toBeLessThanOrEqual(60);
  });

  it('is off when executions are kept for ever, but for tenants with a time of their own', async () => {
    const other = await startTestHost({
      database: host.database,
      env: { STEPWELL_LOG_RETENTION_DAYS: 'forever' },
    });
    try {
      await host.createTenant('short');
      const short = await firstUser('short');
      await host.send({
        ...{ method: 'PUT' as const, path: '/api/admin/tenants/short/limits' },
        body: { log_retention_days: 10 },
      });
      const kept = await insertAll([{ begunAt: daysAgo(200) }]);
      await insertAll([{ ...short, begunAt: daysAgo(200) }]);
      expect(await retain(other)).toEqual({ executions: 1, logs: 1, weeks: [], isDone: true });
      expect(await journals()).toEqual(kept);
    } finally {
      await other.close();
    }
  });

  it('can not be asked by the role of requests to take away more than it may', async () => {
    await insertAll([{ begunAt: daysAgo(150), status: 'paused' }, { begunAt: new Date() }]);
    const app = new pg.Client(host.database.appUrl);
    await app.connect();
    try {
      const week = await mondayOf(daysAgo(150));
      await expect(app.query('select * from tenants_to_expire(0)')).rejects.toThrow(
        /a day at least/,
      );
      await expect(app.query('select drop_log_week($1, -1)', [week])).rejects.toThrow(/a day/);
      const drop = async (monday: string): Promise<unknown> =>
        (await app.query('select drop_log_week($1, 1) as dropped', [monday])).rows;
      expect(await drop(week)).toEqual([{ dropped: false }]);
      expect(await drop(await mondayOf(new Date()))).toEqual([{ dropped: false }]);
      expect(await executions()).toHaveLength(2);
      await expect(app.query('select retention_horizon(90)')).rejects.toThrow(/permission denied/);
    } finally {
      await app.end();
    }
  });

  it('is no business of requests, whichever tenant they name', async () => {
    const kept = await insertAll([{ begunAt: daysAgo(150) }]);
    const app = new pg.Client(host.database.appUrl);
    await app.connect();
    try {
      await app.query(`select set_config('app.tenant_id', $1, false)`, [randomUUID()]);
      for (const [sql, params] of [
        ['select expire_executions($1, 1, $1, 9)', [caller.tenantId]],
        ['select drop_log_week($1, 1)', [await mondayOf(daysAgo(150))]],
        ['select sweep_log_week($1, 1, 9)', [await mondayOf(daysAgo(150))]],
      ] as const) {
        await expect(app.query(sql, [...params])).rejects.toThrow(/no request's/);
      }
    } finally {
      await app.end();
    }
    expect(await executions()).toEqual(kept);
  });

  it('takes less at a time where values are large', async () => {
    const [first = '', second = '', third = ''] = await insertAll(
      [100, 99, 98].map((days) => ({ begunAt: daysAgo(days) })),
    );
    for (const id of [first, second, third]) await insertBelongings(admin, { ...caller, id });
    await admin.query('update execution_blobs set bytes = 200 * 1024 * 1024');
    const { rows } = await admin.query<{ executions: number; last_id: string }>(
      'select * from expire_executions($1, 90, $2, 200)',
      [caller.tenantId, '00000000-0000-0000-0000-000000000000'],
    );
    expect(rows).toMatchObject([{ executions: 2, last_id: second }]);
    expect(await executions()).toEqual([third]);
    expect(await retain()).toMatchObject({ executions: 1, isDone: true });
  });

  it('goes on with the others when those of one tenant can not be removed', async () => {
    await host.createTenant('stuck');
    const stuck = await firstUser('stuck');
    const kept = await insertAll([{ ...stuck, begunAt: daysAgo(150) }]);
    await insertAll([{ begunAt: daysAgo(150) }]);
    await admin.query(
      `create function refuse() returns trigger language plpgsql as $$ begin raise 'no'; end $$;
       create trigger tr_refuse before delete on executions for each row
         when (old.tenant_id = '${stuck.tenantId}') execute function refuse()`,
    );
    expect(await retain()).toMatchObject({ executions: 1, isDone: false });
    expect(await executions()).toEqual(kept);
    await admin.query('drop trigger tr_refuse on executions');
    expect(await retain()).toMatchObject({ executions: 1, isDone: true });
  });

  it('is planned by a host that starts while partitions can not be made', async () => {
    await eventually('the first job', async () => {
      const { rows } = await admin.query(
        `delete from graphile_worker._private_jobs
          where key = 'retention:retention' and locked_at is null and run_at > now() returning id`,
      );
      return rows.length > 0;
    });
    await moveEngineClock(admin, 14);
    const holder = new pg.Client(host.database.adminUrl);
    await holder.connect();
    try {
      await holder.query(
        `select pg_advisory_lock(hashtextextended('partitions of execution_logs', 0))`,
      );
      await host.app.get(Retention).onApplicationBootstrap();
      const { rows } = await admin.query(
        `select from graphile_worker._private_jobs where key = 'retention:retention'`,
      );
      expect(rows).toHaveLength(1);
    } finally {
      await holder.end();
      await moveEngineClock(admin, 0);
    }
  });

  async function retain(on: TestHost = host): Promise<Retained> {
    return await on.app.get(Retention).retain(new AbortController().signal);
  }

  async function insertAll(
    runs: (Omit<OldRun, 'tenantId' | 'ownerId'> & Partial<OldRun>)[],
  ): Promise<string[]> {
    const ids: string[] = [];
    for (const run of runs) {
      await makeWeekOf(admin, run.begunAt);
      ids.push(await insertOldRun(admin, { ...caller, ...run }));
    }
    return ids.sort();
  }

  async function firstUser(tenant: string): Promise<{ tenantId: string; ownerId: string }> {
    const { rows } = await admin.query<{ tenant_id: string; id: string }>(
      `select u.tenant_id, u.id from users u join tenants t on t.id = u.tenant_id where t.name = $1`,
      [tenant],
    );
    return { tenantId: rows[0]?.tenant_id ?? '', ownerId: rows[0]?.id ?? '' };
  }

  async function executions(): Promise<string[]> {
    const { rows } = await admin.query<{ id: string }>('select id from executions order by id');
    return rows.map(({ id }) => id);
  }

  async function journals(): Promise<string[]> {
    const { rows } = await admin.query<{ id: string }>(
      'select distinct execution_id as id from execution_logs order by 1',
    );
    return rows.map(({ id }) => id);
  }

  async function weeks(): Promise<string[]> {
    const { rows } = await admin.query<{ week: string }>(
      'select w::text as week from log_weeks() as w order by 1',
    );
    return rows.map(({ week }) => week);
  }

  async function mondayOf(at: Date): Promise<string> {
    const { rows } = await admin.query<{ week: string }>('select log_week_of($1)::text as week', [
      at,
    ]);
    return rows[0]?.week ?? '';
  }
});
