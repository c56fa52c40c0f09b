import { randomUUID } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import pg from 'pg';
import { DataSource } from 'typeorm';

import { systemClock } from '../../src/common/clock.js';
import { stepSucceeded } from '../../src/common/provider-result.js';
import { Database } from '../../src/database/database.js';
import { CommitterLimits } from '../../src/execution/committer.js';
import { JournalWriter } from '../../src/execution/journal-writer.js';
import { PgRunStore } from '../../src/execution/pg-run-store.js';
import {
  LeaseLost,
  type JournalEntry,
  type Lease,
  type NewRun,
} from '../../src/execution/run-store.js';
import { eventually } from '../support/eventually.js';
import { cloneDatabase, type TestDatabase } from '../support/test-database.js';
import { startTestHost } from '../support/test-host.js';

describe('group commit', () => {
  let database: TestDatabase;
  let source: DataSource;
  let admin: pg.Client;
  let watched: Watched;
  let flushes = 0;
  const hostId = randomUUID();
  const tenant = { id: randomUUID(), user: randomUUID() };
  const other = { id: randomUUID(), user: randomUUID() };

  /** Counts flushes, and may lose the answer of one that was carried out. */
  class Watched extends Database {
    losesAnswers = 0;

    override async queryReserved<Row>(sql: string, params: unknown[] = []): Promise<Row[]> {
      flushes++;
      const rows = await super.queryReserved<Row>(sql, params);
      if (this.losesAnswers > 0) {
        this.losesAnswers--;
        throw new Error('Connection terminated unexpectedly');
      }
      return rows;
    }
  }

  beforeAll(async () => {
    Logger.overrideLogger(false); // a journal warns when it has to try again
    database = await cloneDatabase();
    source = new DataSource({ type: 'postgres', url: database.appUrl });
    await source.initialize();
    watched = new Watched(source);
    admin = new pg.Client({ connectionString: database.adminUrl });
    await admin.connect();
    for (const { id, user } of [tenant, other]) {
      await admin.query('insert into tenants (id, name) values ($1::uuid, $1::text)', [id]);
      await admin.query(
        `insert into users (tenant_id, id, external_id, name, role) values ($1, $2, 'u', 'u', 'user')`,
        [id, user],
      );
    }
  });

  afterAll(async () => {
    await source.destroy();
    await admin.end();
    await database.drop();
  });

  const open = (limits: Partial<CommitterLimits> = {}): PgRunStore =>
    new PgRunStore(watched, Object.assign(new CommitterLimits(), limits));
  const newRun = (more: Partial<NewRun> = {}): NewRun => ({
    id: randomUUID(),
    tenantId: tenant.id,
    tenantName: 'default',
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
    ...more,
  });
  const begin = async (store: PgRunStore, more: Partial<NewRun> = {}): Promise<Lease> => {
    const accepted = await store.accept(newRun(more));
    if (accepted.kind !== 'new' || !accepted.run) throw new Error('not accepted');
    return accepted.run.lease;
  };
  const beginMany = async (store: PgRunStore, count: number): Promise<Lease[]> =>
    await Promise.all(Array.from({ length: count }, () => begin(store)));
  const entry = (stepId: string, more: object = {}): JournalEntry => ({
    stepId,
    iteration: 0,
    provider: 'p',
    action: 'a',
    version: '1.0.0',
    attempt: 1,
    status: 'success',
    startedAt: new Date(),
    finishedAt: new Date(),
    latencyMs: 5,
    input: {},
    result: stepSucceeded({ stepId }),
    ...more,
  });
  const opened = (stepId: string, credentialId: string): JournalEntry => {
    const result = stepSucceeded(1);
    return entry(stepId, {
      result: { ...result, metadata: { ...result.metadata, credential_id: credentialId } },
    });
  };
  /** In the order of the transactions that wrote them. */
  const stepsOf = async (lease: Lease): Promise<string[]> => {
    const { rows } = await admin.query<{ step_id: string }>(
      'select step_id from execution_logs where execution_id = $1 order by xmin::text::bigint, step_id',
      [lease.executionId],
    );
    return rows.map((row) => row.step_id);
  };
  const statusOf = async (lease: Lease): Promise<unknown> => {
    const { rows } = await admin.query<{ status: string }>(
      'select status from executions where id = $1',
      [lease.executionId],
    );
    return rows[0]?.status;
  };

  it('writes for many runs of many tenants at once, each under its own tenant', async () => {
    const store = open({ lanes: 1 });
    const runs = await Promise.all(
      [tenant, other, tenant].map(({ id, user }) => begin(store, { tenantId: id, ownerId: user })),
    );
    const before = flushes;
    await Promise.all(
      runs.map((lease) => store.finish(lease, [entry('s')], { status: 'success', output: null })),
    );
    expect(flushes - before).toBe(1);
    const { rows } = await admin.query(
      `select l.tenant_id, l.owner_id, e.status, e.output from execution_logs l
         join executions e on e.id = l.execution_id where e.id = any ($1)`,
      [runs.map(({ executionId }) => executionId)],
    );
    for (const { id, user } of [tenant, other]) {
      const row = { tenant_id: id, owner_id: user, status: 'success', output: null };
      expect(rows).toContainEqual(row);
    }
    expect(rows).toHaveLength(3);
  });

  it("writes nothing under another tenant's name for a lease", async () => {
    const store = open();
    const lease = await begin(store);
    const forged = { ...lease, tenantId: other.id, ownerId: other.user };
    await expect(store.checkpoint(forged, [entry('s')])).rejects.toThrow(LeaseLost);
    expect(await stepsOf(lease)).toEqual([]);
    const id = randomUUID();
    await expect(store.accept(newRun({ id, ownerId: other.user }))).rejects.toThrow(
      /fk_executions_owner/,
    );
  });

  it('tells the one whose lease is lost, and nobody else', async () => {
    const store = open({ lanes: 1 });
    const leases = await beginMany(store, 40);
    const lost = leases[17]!;
    await admin.query('update executions set lease_epoch = 2 where id = $1', [lost.executionId]);
    const before = flushes;
    const answers = await Promise.allSettled(
      leases.map((lease) => store.finish(lease, [entry('s')], { status: 'success', output: 1 })),
    );
    expect(flushes - before).toBe(1);
    for (const [index, answer] of answers.entries()) {
      const lease = leases[index]!;
      if (lease !== lost)
        expect([answer.status, await stepsOf(lease)]).toEqual(['fulfilled', ['s']]);
    }
    expect(answers[17]).toMatchObject({ status: 'rejected', reason: expect.any(LeaseLost) });
    expect([await stepsOf(lost), await statusOf(lost)]).toEqual([[], 'running']);
  });

  it('finds what the database refuses among what it takes', async () => {
    const store = open({ lanes: 1 });
    const leases = await beginMany(store, 40);
    const answers = await Promise.allSettled(
      leases.map((lease, index) =>
        store.checkpoint(lease, [entry('s', index === 23 ? { latencyMs: 1e12 } : {})]),
      ),
    );
    const refused = answers.flatMap((one, index) =>
      one.status === 'rejected' ? [[index, one.reason.driverError.code]] : [],
    );
    expect(refused).toEqual([[23, '22003']]);
    for (const [index, lease] of leases.entries()) {
      expect([index, await stepsOf(lease)]).toEqual([index, index === 23 ? [] : ['s']]);
    }
  });

  it('starts one run for an idempotency key that comes fifty times in one flush', async () => {
    const store = open({ lanes: 1 });
    const key = { key: 'once', requestHash: 'this' };
    const runs = Array.from({ length: 50 }, () => newRun({ idempotency: key }));
    const before = flushes;
    const [otherUser, otherRequest, ...answers] = await Promise.all([
      store.accept(newRun({ tenantId: other.id, ownerId: other.user, idempotency: key })),
      store.accept(newRun({ id: MAX_ID, idempotency: { ...key, requestHash: 'another' } })),
      ...runs.map((run) => store.accept(run)),
    ]);
    expect(flushes - before).toBe(1);
    const fresh = answers.filter(({ kind }) => kind === 'new');
    expect(fresh).toHaveLength(1);
    expect(answers.filter(({ kind }) => kind === 'repeated')).toHaveLength(49);
    const ids = answers.map((one) => (one.kind === 'key_reused' ? null : one.executionId));
    expect(new Set(ids).size).toBe(1);
    expect([otherUser.kind, otherRequest.kind]).toEqual(['new', 'key_reused']);
  });

  it('starts one run for a key that comes in many flushes at once, in any order', async () => {
    const stores = Array.from({ length: 6 }, () => open({ lanes: 3, maxRows: 5 }));
    const keys = Array.from({ length: 20 }, (_, i) => `key ${String(i)}`);
    const answers = await Promise.all(
      stores.flatMap((store, index) =>
        (index % 2 === 0 ? keys : [...keys].reverse()).map(async (key) => {
          const answer = await store.accept(newRun({ idempotency: { key, requestHash: 'h' } }));
          return answer.kind === 'key_reused' ? answer.kind : `${key}: ${answer.executionId}`;
        }),
      ),
    );
    expect(new Set(answers).size).toBe(keys.length);
  });

  it('keeps the writes of one run in order, also with several lanes', async () => {
    const store = open({ lanes: 3, maxRows: 4 });
    const leases = await beginMany(store, 10);
    const names = Array.from({ length: 12 }, (_, i) => `s${String(i)}`);
    await Promise.all(
      leases.flatMap((lease) => [
        ...names.map((name) => store.checkpoint(lease, [entry(name)])),
        store.finish(lease, [entry('last')], { status: 'success', output: 1 }),
      ]),
    );
    for (const lease of leases) {
      expect(await stepsOf(lease)).toEqual([...names, 'last']);
      expect(await statusOf(lease)).toBe('success');
    }
  });

  it('writes once what it is told again because the answer was lost', async () => {
    const store = open();
    const run = newRun({ idempotency: { key: 'again', requestHash: 'h' } });
    const twice = async <T>(work: () => Promise<T>): Promise<T> => {
      watched.losesAnswers = 1;
      await expect(work()).rejects.toThrow('Connection terminated');
      return await work();
    };
    const accepted = await twice(() => store.accept(run));
    if (accepted.kind !== 'new' || !accepted.run) throw new Error('not accepted');
    const { lease } = accepted.run;
    const credential = randomUUID();
    await twice(() => store.checkpoint(lease, [opened('a', credential)]));
    const end = { status: 'success', output: 1 } as const;
    await twice(() => store.finish(lease, [opened('b', credential)], end));
    expect([await stepsOf(lease), await statusOf(lease)]).toEqual([['a', 'b'], 'success']);
    const { rows } = await admin.query(
      `select details->>'step_id' as step from audit_log where subject_id = $1 order by 1`,
      [credential],
    );
    expect(rows).toEqual([{ step: 'a' }, { step: 'b' }]);
    // The run is over: told a third time, it is new still, and nobody is to walk it.
    expect(await store.accept(run)).toEqual({ kind: 'new', executionId: run.id, run: null });
    const error = { code: 'engine.failed', message: 'x', retryable: false } as const;
    await expect(store.finish(lease, [], { status: 'error', output: null, error })).rejects.toThrow(
      LeaseLost,
    );
  });

  it('rests a run once, however often it is told', async () => {
    const store = open();
    const lease = await begin(store);
    await admin.query('update executions set pause_requested = true where id = $1', [
      lease.executionId,
    ]);
    watched.losesAnswers = 1;
    await expect(store.suspend(lease, [entry('a')])).rejects.toThrow('Connection terminated');
    await store.suspend(lease, [entry('a')]);
    const { rows } = await admin.query(
      'select status, host_id, pause_requested, finished_at, output from executions where id = $1',
      [lease.executionId],
    );
    const rest = { status: 'paused', host_id: null, pause_requested: false };
    expect(rows).toEqual([{ ...rest, finished_at: null, output: null }]);
    expect(await stepsOf(lease)).toEqual(['a']);
    await expect(store.checkpoint(lease, [entry('b')])).rejects.toThrow(LeaseLost);
  });

  it('loses and doubles nothing when connections break in the middle', async () => {
    const store = open();
    const credential = randomUUID();
    const names = Array.from({ length: 15 }, (_, i) => `s${String(i)}`);
    const leases = await beginMany(store, 20);
    let isOver = false;
    let cuts = 0;
    const walks = Promise.all(
      leases.map(async (lease) => {
        const { signal } = new AbortController();
        const journal = new JournalWriter(store, systemClock, { lease, unstored: null }, signal);
        for (const name of names) {
          await journal.add(opened(name, credential));
          await journal.flush();
        }
        await journal.finish({ status: 'success', output: 1 });
      }),
    ).finally(() => (isOver = true));
    await eventually('the end of all runs', async () => {
      if (cuts < 10) {
        const { rowCount } = await admin.query(
          `select pg_terminate_backend(pid) from pg_stat_activity
            where datname = current_database() and usename = 'stepwell_app'`,
        );
        cuts += rowCount ?? 0;
      }
      return isOver;
    });
    await walks;
    expect(cuts).toBeGreaterThan(3);
    for (const lease of leases) expect(await stepsOf(lease)).toEqual(names);
    const { rows } = await admin.query(
      'select count(*)::int as n from audit_log where subject_id = $1',
      [credential],
    );
    expect(rows).toEqual([{ n: names.length * leases.length }]);
  });

  it('waits for a run that somebody holds without letting the others wait', async () => {
    const store = open({ lanes: 1 });
    const [held, ...free] = await beginMany(store, 5);
    await admin.query('begin');
    await admin.query('select from executions where id = $1 for update', [held!.executionId]);
    let isWritten = false;
    const late = store.checkpoint(held!, [entry('s')]).then(() => (isWritten = true));
    await Promise.all(free.map((lease) => store.checkpoint(lease, [entry('s')])));
    expect(isWritten).toBe(false);
    await admin.query('commit');
    await late;
    expect(await stepsOf(held!)).toEqual(['s']);
  });

  it('stores what strangers wrote as what it is', async () => {
    const store = open({ lanes: 1 });
    const hostile = {
      '"}],"x': '"}],"status":"success"}]',
      "'; drop table executions; --": '\0\ud800\\u0000',
      nothing: null,
    };
    const stored = { ...hostile, "'; drop table executions; --": '\ufffd\ufffd\\u0000' };
    const [lease] = await Promise.all([begin(store, { input: hostile }), begin(store)]);
    await store.finish(lease, [entry('s', { input: hostile, result: stepSucceeded(hostile) })], {
      status: 'success',
      output: hostile,
    });
    const { rows } = await admin.query(
      `select e.input as a, e.output as b, l.input as c, l.output as d
         from executions e join execution_logs l on l.execution_id = e.id where e.id = $1`,
      [lease.executionId],
    );
    expect(rows).toEqual([{ a: stored, b: stored, c: stored, d: stored }]);
    const plain = await begin(store, { input: null });
    const kept = await admin.query('select input from executions where id = $1', [
      plain.executionId,
    ]);
    expect(kept.rows).toEqual([{ input: null }]);
  });

  it('tells of an intent and its result in one write as its result', async () => {
    const store = open();
    const lease = await begin(store);
    const credential = randomUUID();
    const intent = entry('a', { status: 'started' });
    await store.checkpoint(lease, [intent, opened('a', credential)]);
    const { rows } = await admin.query(
      'select status from execution_logs where execution_id = $1',
      [lease.executionId],
    );
    expect(rows).toEqual([{ status: 'success' }]);
  });

  it('begins a run with what it need not do again, once', async () => {
    const store = open();
    const origin = await begin(store);
    const run = newRun({ originId: origin.executionId, journal: [entry('a'), entry('b')] });
    watched.losesAnswers = 1;
    await expect(store.accept(run)).rejects.toThrow('Connection terminated');
    const accepted = await store.accept(run);
    if (accepted.kind !== 'new' || !accepted.run) throw new Error('not accepted');
    expect(accepted.run.journal).toHaveLength(2);
    expect(await stepsOf(accepted.run.lease)).toEqual(['a', 'b']);
  });

  it('reads no table as a whole, though it was first called when they were empty', async () => {
    expect(await scansAfter('analyze')).toEqual([]);
    // The control: the same without what the function pins.
    const unpinned = 'analyze; alter function flush_runs(jsonb, jsonb) reset enable_seqscan';
    expect(await scansAfter(unpinned)).toContainEqual({ name: 'executions' });
  });

  async function scansAfter(sql: string): Promise<unknown[]> {
    const fresh = await cloneDatabase();
    const client = new pg.Client({ connectionString: fresh.adminUrl });
    await client.connect();
    try {
      await client.query('insert into tenants (id, name) values ($1, $2)', [tenant.id, 'a']);
      await client.query(
        `insert into users (tenant_id, id, external_id, name, role) values ($1, $2, 'u', 'u', 'user')`,
        [tenant.id, tenant.user],
      );
      await client.query(sql);
      const queryReserved = async (text: string, params: unknown[]) =>
        (await client.query(text, params)).rows;
      const store = new PgRunStore({ queryReserved } as unknown as Database);
      await client.query('begin');
      for (let i = 0; i < 12; i++) {
        const lease = await begin(store, { idempotency: { key: String(i), requestHash: '' } });
        await store.checkpoint(lease, [entry('a', { status: 'started' })]);
        await store.finish(lease, [entry('a')], { status: 'success', output: 1 });
      }
      const { rows } = await client.query(
        `select relname as name from pg_class
          where (relname in ('executions', 'users', 'tenants') or relname ~ '^execution_logs_')
            and relkind = 'r'
            and pg_stat_get_xact_numscans(oid) > 0`,
      );
      await client.query('rollback');
      return rows;
    } finally {
      await client.end();
      await fresh.drop();
    }
  }
});

it('two hundred runs at once end, each with its whole journal', async () => {
  const host = await startTestHost();
  const admin = new pg.Client({ connectionString: host.database.adminUrl });
  await admin.connect();
  try {
    const steps = Array.from({ length: 3 }, (_, i) => ({
      id: `s${String(i)}`,
      provider: 'logic',
      action: 'transform',
      params: { value: i === 0 ? '${input.n}' : `\${steps.s${String(i - 1)}.output}` },
    }));
    const starts = await Promise.all(
      Array.from({ length: 200 }, (_, n) =>
        host.send({
          method: 'POST',
          path: '/api/execute-plan',
          body: { plan: { steps }, input: { n }, wait: 0 },
        }),
      ),
    );
    const ids = starts.map(({ body }) => body.id as string);
    const ended = await eventually(
      'the end of all runs',
      async () => {
        const { rows } = await admin.query<{ id: string; status: string; output: number }>(
          'select id, status, output from executions where id = any ($1)',
          [ids],
        );
        return rows.every(({ status }) => !['queued', 'running'].includes(status)) && rows;
      },
      30_000,
    );
    const outputs = new Map(ended.map(({ id, status, output }) => [id, [status, output]]));
    expect(ids.map((id) => outputs.get(id))).toEqual(ids.map((_, n) => ['success', n]));
    const { rows } = await admin.query(
      `select count(*)::int as entries, count(distinct (execution_id, step_id))::int as places
         from execution_logs where execution_id = any ($1) and status = 'success' and attempt = 1`,
      [ids],
    );
    expect(rows).toEqual([{ entries: 600, places: 600 }]);
  } finally {
    await admin.end();
    await host.close();
  }
}, 60_000);

/** The last of all ids, so that it is not the first that asks for a key. */
const MAX_ID = 'ffffffff-ffff-7fff-bfff-ffffffffffff';
