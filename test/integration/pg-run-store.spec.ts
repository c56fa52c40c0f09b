import { randomUUID } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
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
    input: {},
    idempotency: null,
    hostId,
    originId: null,
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
    const [taken] = await store.claim({ hostId: alive, limit: 10, held: [] });
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
      hosts.map((hostId) => store.claim({ hostId, limit: 10, held: [] })),
    );
    const ids = claims.flat().map((run) => run.lease.executionId);
    expect(ids.filter((id) => id === lost.lease.executionId)).toHaveLength(1);
    expect(ids).not.toContain(kept.lease.executionId);
  });

  it('queues a run without a host, and gives it away once, oldest first', async () => {
    const hostId = await newHost();
    const ids: string[] = [];
    for (let i = 0; i < 3; i++) {
      const accepted = await store.accept(newRun(null));
      if (accepted.kind === 'new') ids.push(accepted.executionId);
    }
    const first = await store.claim({ hostId, limit: 2, held: [] });
    const held = first.map((run) => run.lease.executionId);
    expect(new Set(held)).toEqual(new Set(ids.slice(0, 2)));
    const rest = await store.claim({ hostId, limit: 5, held });
    expect(rest.map((run) => run.lease.executionId)).toEqual(ids.slice(2));
  });

  it('takes turns over tenants: nobody waits behind the long queue of another', async () => {
    const other = { id: randomUUID(), user: randomUUID() };
    await admin.query(`insert into tenants (id, name) values ($1, 'other')`, [other.id]);
    await admin.query(
      `insert into users (tenant_id, id, external_id, name, role) values ($1, $2, 'u', 'u', 'user')`,
      [other.id, other.user],
    );
    await admin.query(
      `insert into executions (tenant_id, id, definition, owner_id, visibility, status, trigger, input)
       select $1, gen_random_uuid(), '{"steps":[],"pins":{}}', $2, 'private', 'queued', 'manual', '{}'
         from generate_series(1, 5000)`,
      [tenant.id, tenant.user],
    );
    await admin.query('analyze executions');
    const late = await store.accept({ ...newRun(null), tenantId: other.id, ownerId: other.user });
    const hostId = await newHost();
    const claimed = await store.claim({ hostId, limit: 4, held: [] });
    const ids = claimed.map((run) => run.lease.executionId);
    expect(ids).toHaveLength(4);
    expect(ids).toContain(late.kind === 'new' ? late.executionId : '');
    await admin.query(`delete from executions where status = 'queued'`);
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
    const held = await store.claim({ hostId, limit: 5, held: [run.lease.executionId] });
    expect(held).toEqual([]);
    const [again] = await store.claim({ hostId, limit: 5, held: [] });
    expect(again?.lease).toMatchObject({ executionId: run.lease.executionId, epoch: 2 });
  });
});
