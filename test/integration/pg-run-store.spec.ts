import { randomUUID } from 'node:crypto';

import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { DataSource } from 'typeorm';

import { stepSucceeded } from '../../src/common/provider-result.js';
import { PgRunStore } from '../../src/execution/pg-run-store.js';
import {
  LeaseLost,
  type JournalEntry,
  type LeasedRun,
  type NewRun,
} from '../../src/execution/run-store.js';
import { Database } from '../../src/database/database.js';
import { ENTITIES } from '../support/entities.js';
import { eventually } from '../support/eventually.js';
import { cloneDatabase, type TestDatabase } from '../support/test-database.js';

describe('the run store', () => {
  let database: TestDatabase;
  let source: DataSource;
  let store: PgRunStore;
  let admin: pg.Client;
  const tenant = { id: randomUUID(), name: 'default', user: randomUUID() };

  beforeAll(async () => {
    database = await cloneDatabase();
    source = new DataSource({ type: 'postgres', url: database.appUrl, entities: ENTITIES });
    await source.initialize();
    store = new PgRunStore(new Database(source));
    admin = new pg.Client({ connectionString: database.adminUrl });
    await admin.connect();
    await admin.query('insert into tenants (id, name) values ($1, $2)', [tenant.id, tenant.name]);
    await admin.query(
      `insert into users (tenant_id, id, external_id, name, role) values ($1, $2, 'u', 'u', 'user')`,
      [tenant.id, tenant.user],
    );
  });

  afterAll(async () => {
    await source.destroy();
    await admin.end();
    await database.drop();
  });

  const newRun = (hostId: string | null): NewRun => ({
    id: randomUUID(),
    tenantId: tenant.id,
    tenantName: tenant.name,
    ownerId: tenant.user,
    planId: null,
    planVersion: null,
    definition: { steps: [], pins: {} },
    visibility: 'private',
    trigger: 'manual',
    triggerData: null,
    input: {},
    idempotency: null,
    hostId,
    originId: null,
    parent: null,
    journal: [],
  });
  const newHost = async (): Promise<string> => {
    const id = randomUUID();
    await admin.query('insert into hosts (id) values ($1)', [id]);
    return id;
  };
  const accept = async (hostId: string): Promise<LeasedRun> => {
    const accepted = await store.accept(newRun(hostId));
    if (accepted.kind !== 'new' || !accepted.run) throw new Error('not accepted');
    return accepted.run;
  };
  const entry = (stepId: string, status: 'started' | 'success'): JournalEntry => {
    const head = {
      stepId,
      provider: 'p',
      action: 'a',
      version: '1.0.0',
      iteration: 0,
      attempt: 1,
      startedAt: new Date(),
      input: {},
    };
    if (status === 'started') return { ...head, status };
    return {
      ...head,
      status,
      result: stepSucceeded({ x: 1 }),
      latencyMs: 5,
      finishedAt: new Date(),
    };
  };
  const claim = async (hostId: string, places: number): Promise<string[]> => {
    const { runs } = await store.claim({ hostId, tenantId: tenant.id, places });
    return runs.map((run) => run.lease.executionId);
  };
  /** @returns the other tenant's id */
  const queueForAnother = async (): Promise<string> => {
    const [id, user] = [randomUUID(), randomUUID()];
    await admin.query('insert into tenants (id, name) values ($1, $2)', [id, id]);
    await admin.query(
      `insert into users (tenant_id, id, external_id, name, role) values ($1, $2, 'u', 'u', 'user')`,
      [id, user],
    );
    await store.accept({ ...newRun(null), tenantId: id, ownerId: user });
    return id;
  };
  const die = async (hostId: string): Promise<void> => {
    await admin.query(
      `update hosts set heartbeat_at = now() - interval '6 seconds' where id = $1`,
      [hostId],
    );
  };

  it('fences off a host whose run was taken over: it writes nothing more', async () => {
    const [dead, alive] = [await newHost(), await newHost()];
    const run = await accept(dead);
    await store.checkpoint(run.lease, [entry('one', 'success')]);
    await die(dead);
    const [taken] = await store.takeOver({ hostId: alive, limit: 10, held: [] });
    expect(taken?.lease).toMatchObject({
      executionId: run.lease.executionId,
      epoch: 2,
      hostId: alive,
    });
    expect(taken?.journal).toMatchObject([
      { stepId: 'one', status: 'success', result: { output: { x: 1 } } },
    ]);

    await expect(store.checkpoint(run.lease, [entry('two', 'success')])).rejects.toThrow(LeaseLost);
    await expect(
      store.finish(run.lease, [entry('two', 'success')], { status: 'success', output: 1 }),
    ).rejects.toThrow(LeaseLost);
    const { rows } = await admin.query(
      'select step_id from execution_logs where execution_id = $1',
      [run.lease.executionId],
    );
    expect(rows).toEqual([{ step_id: 'one' }]);

    await store.finish(taken!.lease, [entry('two', 'success')], { status: 'success', output: 2 });
    const done = await admin.query('select status, output from executions where id = $1', [
      run.lease.executionId,
    ]);
    expect(done.rows).toEqual([{ status: 'success', output: 2 }]);
  });

  it("gives a dead host's run to one of two that ask at once, and a living host's to none", async () => {
    const [dead, alive] = [await newHost(), await newHost()];
    const lost = await accept(dead);
    const kept = await accept(alive);
    await die(dead);
    const hosts: string[] = [];
    for (let i = 0; i < 6; i++) hosts.push(await newHost());
    const claims = await Promise.all(
      hosts.map((hostId) => store.takeOver({ hostId, limit: 10, held: [] })),
    );
    const ids = claims.flat().map((run) => run.lease.executionId);
    expect(ids.filter((id) => id === lost.lease.executionId)).toHaveLength(1);
    expect(ids).not.toContain(kept.lease.executionId);
  });

  describe('when the clock of the database is set', () => {
    const beat = async (hostId: string): Promise<void> => {
      await admin.query('select * from heartbeat($1, $2)', [hostId, []]);
    };
    const setClock = async (seconds: number): Promise<void> => {
      await admin.query(
        `create or replace function engine_now() returns timestamptz language sql stable parallel safe
           as $$ select now() + interval '${String(seconds)} seconds' $$`,
      );
    };
    const takenBy = async (hostId: string): Promise<string[]> => {
      const runs = await store.takeOver({ hostId, limit: 100, held: [] });
      return runs.map(({ lease }) => lease.executionId);
    };

    afterEach(async () => {
      await setClock(0);
    });

    it('takes no run from a host that only seems to be dead', async () => {
      const [alive, other] = [await newHost(), await newHost()];
      const run = await accept(alive);
      for (const seconds of [3_600, -3_600]) {
        await setClock(seconds);
        expect(await takenBy(other)).toEqual([]);
        await beat(other);
        expect(await takenBy(other)).toEqual([]);
        await beat(alive);
        for (const later of [2, 4, 6]) {
          await setClock(seconds + later);
          await beat(alive);
          await beat(other);
          expect(await takenBy(other)).not.toContain(run.lease.executionId);
        }
      }
    });

    it('takes those of a dead host seconds later, also where that one seems to have lived in the future', async () => {
      for (const seconds of [3_600, -3_600]) {
        const [dead, other] = [await newHost(), await newHost()];
        const run = await accept(dead);
        await setClock(seconds);
        for (const later of [0, 3]) {
          await setClock(seconds + later);
          await beat(other);
          expect(await takenBy(other)).toEqual([]);
        }
        await setClock(seconds + 6);
        await beat(other);
        expect(await takenBy(other)).toContain(run.lease.executionId);
      }
    });
  });

  it('queues a run without a host, and gives it away once, oldest first', async () => {
    const hostId = await newHost();
    const ids: string[] = [];
    for (let i = 0; i < 3; i++) {
      const accepted = await store.accept(newRun(null));
      if (accepted.kind === 'new') ids.push(accepted.executionId);
    }
    const first = await claim(hostId, 2);
    expect(new Set(first)).toEqual(new Set(ids.slice(0, 2)));
    expect(await claim(hostId, 5)).toEqual(ids.slice(2));
  });

  it('gives a fork away with what it begins with, also when its origin has expired meanwhile', async () => {
    const origin = await accept(await newHost());
    await store.finish(origin.lease, [], { status: 'success', output: 1 });
    const { executionId } = origin.lease;
    const journal = [entry('a', 'success')];
    await store.accept({ ...newRun(null), trigger: 'fork', originId: executionId, journal });
    await admin.query('delete from executions where id = $1', [executionId]);
    const { runs } = await store.claim({
      ...{ hostId: await newHost(), tenantId: tenant.id },
      places: 1,
    });
    expect(runs.map((run) => run.journal)).toMatchObject([[{ stepId: 'a', status: 'success' }]]);
  });

  it('gives a tenant as many at a turn as its weight says, and puts it at the end of the line', async () => {
    const hostId = await newHost();
    const waiting = `select key, run_at from graphile_worker._private_jobs where key = $1`;
    const job = `tenant:${tenant.id}`;
    for (let i = 0; i < 14; i++) await store.accept(newRun(null));
    const other = await queueForAnother();
    const announced = await admin.query(waiting, [job]);
    expect(announced.rows).toHaveLength(1);
    await admin.query(
      'update graphile_worker._private_jobs set locked_at = now(), locked_by = $1',
      ['somebody'],
    );
    expect(await claim(hostId, 100)).toHaveLength(10);
    const again = await admin.query(waiting, [job]);
    expect(again.rows).toHaveLength(1);
    expect(again.rows[0].run_at.getTime()).toBeGreaterThan(announced.rows[0].run_at.getTime());
    // The end of the queue: nothing more is announced.
    await admin.query('delete from graphile_worker._private_jobs');
    expect(await claim(hostId, 100)).toHaveLength(4);
    expect((await admin.query(waiting, [job])).rows).toEqual([]);
    await admin.query('insert into tenant_shares (tenant_id, weight) values ($1, 3)', [tenant.id]);
    for (let i = 0; i < 4; i++) await store.accept(newRun(null));
    expect(await claim(hostId, 100)).toHaveLength(3);
    expect(await claim(hostId, 100)).toHaveLength(1);
    // Where nobody else waits, there is nobody to share with.
    await admin.query('delete from executions where tenant_id = $1', [other]);
    for (let i = 0; i < 14; i++) await store.accept(newRun(null));
    expect(await claim(hostId, 12)).toHaveLength(12);
    expect(await claim(hostId, 12)).toHaveLength(2);
    await admin.query('delete from tenant_shares');
  });

  it("counts what another host's claim begins just then: no two of them exceed a limit", async () => {
    const limit = `insert into execution_limits (tenant_id, kind, subject, max_running) values ($1, $2, $3, 1)`;
    await admin.query(limit, [tenant.id, 'provider', 'p']);
    const step = { id: 's', provider: 'p', action: 'a', params: {} };
    const definition = { steps: [step], pins: {} };
    for (let i = 0; i < 3; i++) await store.accept({ ...newRun(null), definition });
    const free = await store.accept(newRun(null));
    const [one, two] = [await newHost(), await newHost()];
    await admin.query('begin');
    const first = await admin.query('select * from claim_runs($1, $2, 1)', [one, tenant.id]);
    expect(first.rows).toHaveLength(1);
    const second = claim(two, 10);
    await eventually('the second claim waiting for the first', async () => {
      const { rows } = await admin.query(
        `select 1 from pg_locks l join pg_database d on d.oid = l.database
          where d.datname = current_database() and l.locktype = 'advisory' and not l.granted`,
      );
      return rows.length === 1;
    });
    await admin.query('commit');
    // Neither a second of those, nor behind them one that the limit doesn't concern.
    expect(await second).toEqual([free.kind === 'new' ? free.executionId : '']);
    expect(await claim(two, 10)).toEqual([]);
    await admin.query(`update executions set status = 'waiting' where status = 'running'`);
    expect(await claim(two, 10)).toHaveLength(1);
    await admin.query('delete from execution_limits');
    expect(await claim(two, 10)).toHaveLength(1);
  });

  it('tells of a tenant when the transaction that queued its run ends, and not of what came to nothing', async () => {
    const job = async (): Promise<number> =>
      (await admin.query('select 1 from graphile_worker._private_jobs')).rows.length;
    const accepted = await store.accept(newRun(await newHost()));
    const id = accepted.kind === 'new' ? accepted.executionId : '';
    await admin.query('delete from graphile_worker._private_jobs');
    const queue = `update executions set status = 'queued' where id = $1`;
    for (const [end, jobs] of [
      ['rollback', 0],
      ['commit', 1],
    ] as const) {
      await admin.query('begin');
      await admin.query(queue, [id]);
      expect(await job()).toBe(0);
      await admin.query(end);
      expect(await job()).toBe(jobs);
    }
    await admin.query('delete from graphile_worker._private_jobs');
  });

  it('keeps the place in the line of a tenant that is announced again and again', async () => {
    const line = async (): Promise<unknown[]> =>
      (await admin.query(`select key from graphile_worker._private_jobs order by priority, run_at`))
        .rows;
    await admin.query('delete from graphile_worker._private_jobs');
    const [first, second] = [randomUUID(), randomUUID()];
    await admin.query('select announce_work($1)', [[first]]);
    await admin.query('select announce_work($1)', [[second]]);
    await admin.query('select announce_work($1)', [[second, first]]);
    expect(await line()).toEqual([{ key: `tenant:${first}` }, { key: `tenant:${second}` }]);
    await admin.query('delete from graphile_worker._private_jobs');
  });

  it('tells of a tenant again whose job or run seems to come later, since the clock was set back', async () => {
    const hostId = await newHost();
    const due = async (): Promise<number> =>
      (
        await admin.query(
          'select 1 from graphile_worker._private_jobs where is_available and run_at <= now()',
        )
      ).rows.length;
    const tend = (): Promise<unknown> =>
      admin.query('select tend_work($1, $2, null)', [hostId, ['worker']]);
    await store.accept(newRun(null));
    const later = `now() + interval '1 hour'`;
    await admin.query(`update executions set created_at = ${later} where status = 'queued'`);
    await admin.query(`update graphile_worker._private_jobs set run_at = ${later}`);
    expect(await due()).toBe(0);
    await tend();
    expect(await due()).toBe(1);
    await admin.query('delete from graphile_worker._private_jobs');
    await tend();
    expect(await due()).toBe(1);
    await admin.query('delete from graphile_worker._private_jobs');
    await claim(hostId, 10);
  });

  it('turns an intent into its result, and never a result into another', async () => {
    const run = await accept(await newHost());
    await store.checkpoint(run.lease, [entry('a', 'started')]);
    await store.checkpoint(run.lease, [entry('a', 'success')]);
    await store.checkpoint(run.lease, [entry('a', 'started')]);
    const { rows } = await admin.query(
      'select status from execution_logs where execution_id = $1',
      [run.lease.executionId],
    );
    expect(rows).toEqual([{ status: 'success' }]);
  });

  it('gives a host its own run again when it no longer walks it', async () => {
    const hostId = await newHost();
    const run = await accept(hostId);
    await admin.query(
      `update executions set started_at = now() - interval '6 seconds' where id = $1`,
      [run.lease.executionId],
    );
    const held = await store.takeOver({ hostId, limit: 5, held: [run.lease.executionId] });
    expect(held).toEqual([]);
    const [again] = await store.takeOver({ hostId, limit: 5, held: [] });
    expect(again?.lease).toMatchObject({ executionId: run.lease.executionId, epoch: 2 });
  });
});
