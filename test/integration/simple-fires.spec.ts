import { randomUUID } from 'node:crypto';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';

import { Database } from '../../src/database/database.js';
import { SimpleFires } from '../../src/scheduling/simple-fires.js';
import { fireSchedules, readGrounds } from '../../src/scheduling/sql/fire-schedules.js';
import type { FiringSchedule } from '../../src/scheduling/scheduled-run.js';
import { asSuperuser } from '../support/as-superuser.js';
import { cloneDatabase, type TestDatabase } from '../support/test-database.js';

describe('schedules that fire together', () => {
  let database: TestDatabase;
  let source: DataSource;
  let host: Database;

  beforeEach(async () => {
    database = await cloneDatabase();
    source = new DataSource({ type: 'postgres', url: database.appUrl });
    await source.initialize();
    host = new Database(source);
  });

  afterEach(async () => {
    await source.destroy();
    await database.drop();
  });

  /** One that is due, of a tenant of its own, all of whose ids are the same. */
  const addSchedule = async (overlap = 'skip'): Promise<FiringSchedule> => {
    const id = randomUUID();
    for (const sql of [
      'insert into tenants (id, name) values ($1::uuid, $1::uuid::text)',
      `insert into users (tenant_id, id, external_id, name, role) values ($1, $1, 'u', 'u', 'user')`,
      `insert into plans (tenant_id, id, owner_id, name, version) values ($1, $1, $1, 'p', 1)`,
      `insert into plan_versions (tenant_id, plan_id, version, steps, pins, created_by)
       values ($1, $1, 1, '[{"provider":"logic"}]', '{"steps":{}}', $1)`,
    ]) {
      await asSuperuser(database, sql, [id]);
    }
    await asSuperuser(
      database,
      `insert into schedules (tenant_id, id, plan_id, owner_id, plan_version, every_seconds, timezone, anchor_at,
                              overlap, catch_up, catch_up_seconds, jitter_seconds, input, status, next_fire_at, due_at)
       select $1, $1, $1, $1, 1, 3600, 'UTC', at - interval '1 hour', $2, 'none', 60, 0, '{"n":1}', 'active', at, at
         from (select date_trunc('second', now()) as at) as t`,
      [id, overlap],
    );
    return { tenantId: id, scheduleId: id, ownerId: id, ownerRole: 'user' };
  };
  const fired = async (): Promise<number> =>
    (await asSuperuser(database, 'select from schedule_fires')).length;
  const fireLater = async (due: FiringSchedule, change: string): Promise<number> => {
    const [grounds] = await readGrounds(host, [due]);
    await asSuperuser(database, change, [due.tenantId]);
    if (!grounds?.next_fire_at) throw new Error('it is due');
    const fire = { ...due, asOf: grounds.as_of, nominalAt: grounds.next_fire_at, next: null };
    return await fireSchedules(host, [{ ...fire, executionId: randomUUID() }]);
  };

  it('each have a run, a fire and a next time, whosever they are', async () => {
    const due = [await addSchedule(), await addSchedule('queue')];
    expect(await new SimpleFires(host).fire(due)).toEqual({ started: 2, rest: [] });
    const rows = await asSuperuser(
      database,
      `select f.outcome, e.status, e.trigger, e.input, e.definition, e.owner_id = s.owner_id as is_owners,
              s.next_fire_at - f.nominal_at = interval '1 hour' as is_next, s.due_at = s.next_fire_at as is_due
         from schedules s join schedule_fires f on f.tenant_id = s.tenant_id and f.schedule_id = s.id
         join executions e on e.tenant_id = f.tenant_id and e.id = f.execution_id`,
    );
    const run = { status: 'queued', trigger: 'schedule', input: { n: 1 }, is_owners: true };
    const definition = { steps: [{ provider: 'logic' }], pins: { steps: {} } };
    const row = { outcome: 'started', ...run, definition, is_next: true, is_due: true };
    expect(rows).toEqual([row, row]);
    // It is due no more.
    expect(await new SimpleFires(host).fire(due)).toEqual({ started: 0, rest: due });
    expect(await fired()).toBe(2);
  });

  it.each([
    { what: 'its timing', sql: 'update schedules set every_seconds = 60 where tenant_id = $1' },
    { what: 'its user', sql: 'update users set disabled_at = now() where tenant_id = $1' },
    { what: 'its plan', sql: 'update plans set deleted_at = now() where tenant_id = $1' },
  ])('are passed over when $what changes meanwhile', async ({ sql }) => {
    expect(await fireLater(await addSchedule(), sql)).toBe(0);
    expect(await fired()).toBe(0);
    // The same without a change does fire.
    expect(await fireLater(await addSchedule(), 'select $1::uuid')).toBe(1);
  });

  it('fire for hosts alone: no request reads what they stand on, or moves one', async () => {
    const due = await addSchedule();
    const caller = await addSchedule();
    const [grounds] = await readGrounds(host, [due]);
    if (!grounds?.next_fire_at) throw new Error('it is due');
    const fire = { ...due, asOf: grounds.as_of, nominalAt: grounds.next_fire_at, next: null };
    const ctx = { tenantId: caller.tenantId, userId: caller.ownerId, role: 'admin' as const };
    const inRequest = async <Result>(
      work: (database: Pick<Database, 'query'>) => Promise<Result>,
    ) =>
      await host.withTenant(
        ctx,
        async (tx) =>
          await work({
            query: async <Row>(sql: string, params?: unknown[]) =>
              await tx.query<Row[]>(sql, params),
          }),
      );
    expect(await inRequest((database) => readGrounds(database, [due, caller]))).toEqual([]);
    await expect(
      inRequest((database) => fireSchedules(database, [{ ...fire, executionId: randomUUID() }])),
    ).rejects.toThrow(/by no request/);
    expect(await fired()).toBe(0);
  });

  it('leave to others what has something in its way', async () => {
    const due = [await addSchedule(), await addSchedule('allow')];
    await asSuperuser(
      database,
      `with run as (
         insert into executions (tenant_id, id, definition, owner_id, visibility, status, trigger, input)
         select tenant_id, id, '{"steps":[],"pins":{}}', owner_id, 'private', 'paused', 'schedule', '{}' from schedules
         returning tenant_id, id
       )
       insert into schedule_fires (tenant_id, schedule_id, nominal_at, outcome, execution_id)
       select tenant_id, id, now() - interval '1 hour', 'started', id from run`,
    );
    expect(await new SimpleFires(host).fire(due)).toEqual({ started: 1, rest: due.slice(0, 1) });
    await asSuperuser(database, `update users set role = 'viewer'`);
    const viewers = [await addSchedule()];
    await asSuperuser(database, `update users set role = 'viewer'`);
    expect(await new SimpleFires(host).fire(viewers)).toEqual({ started: 0, rest: viewers });
  });
});
