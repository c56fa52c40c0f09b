import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';

import { ownerDataSource } from '../../src/database/prepare-database.js';
import { rolesOf } from '../../src/database/roles.js';
import {
  daysAgo,
  idAt,
  insertOldRun,
  makeWeekOf,
  moveEngineClock,
} from '../support/journal-rows.js';
import { startTestHost, type TestHost } from '../support/test-host.js';

const TRANSFORM = { id: 's', provider: 'logic', action: 'transform', params: { value: 1 } };

describe('the partitions of the journal', () => {
  let host: TestHost;
  let admin: pg.Client;
  let caller: { tenantId: string; ownerId: string };

  beforeAll(async () => {
    host = await startTestHost();
    admin = new pg.Client({ connectionString: host.database.adminUrl });
    await admin.connect();
    const { rows } = await admin.query<{ tenant_id: string; id: string }>('select * from users');
    caller = { tenantId: rows[0]?.tenant_id ?? '', ownerId: rows[0]?.id ?? '' };
  });

  afterAll(async () => {
    await admin.end();
    await host.close();
  });

  it('are there for this week, the one before and four to come', async () => {
    const { rows } = await admin.query<{ ahead: number }>(
      `select (w - log_week_of(now())) / 7 as ahead from log_weeks() as w order by 1`,
    );
    expect(rows.map(({ ahead }) => ahead)).toEqual([-1, 0, 1, 2, 3, 4]);
  });

  it('hold the rows of executions that began in their week', async () => {
    const answer = await host.send({
      method: 'POST',
      path: '/api/execute-step',
      body: { step: TRANSFORM },
    });
    expect(answer.status).toBe(200);
    const old = await insertOldRun(admin, { ...caller, begunAt: daysAgo(7) });
    const name = 'partitions.execution_logs_';
    expect(await partitionsOf(admin)).toEqual(
      expect.arrayContaining([
        { id: old, partition: `${name}${await mondayOf(daysAgo(7))}` },
        {
          id: expect.not.stringContaining(old),
          partition: `${name}${await mondayOf(new Date())}`,
        },
      ]),
    );
  });

  it('are made by any number of hosts at once, each of them once', async () => {
    await moveEngineClock(admin, 14);
    const clients = Array.from({ length: 4 }, () => new pg.Client(host.database.appUrl));
    for (const client of clients) await client.connect();
    const made = await Promise.all(
      clients.map(async (client) => (await client.query('select make_log_weeks() as n')).rows),
    );
    for (const client of clients) await client.end();
    await moveEngineClock(admin, 0);
    expect(made.flat().reduce((sum: number, { n }: { n: number }) => sum + n, 0)).toBe(2);
  });

  it('take in rows that came before them', async () => {
    const begunAt = daysAgo(-70);
    const early = await insertOldRun(admin, { ...caller, begunAt });
    const never = await insertOldRun(admin, { ...caller, begunAt: new Date('1999-01-01') });
    const rest = 'partitions.execution_logs_rest';
    expect(await partitionsOf(admin)).toEqual(
      expect.arrayContaining([
        { id: early, partition: rest },
        { id: never, partition: rest },
      ]),
    );
    await moveEngineClock(admin, 50);
    await admin.query('select make_log_weeks()');
    await moveEngineClock(admin, 0);
    expect(await partitionsOf(admin)).toEqual(
      expect.arrayContaining([
        { id: early, partition: `partitions.execution_logs_${await mondayOf(begunAt)}` },
        { id: never, partition: rest },
      ]),
    );
    const { body } = await host.send({ path: `/api/execution-logs?execution_id=${never}` });
    expect(body.logs).toHaveLength(1);
  });

  it('are out of reach for the role of requests, and as closed as the table', async () => {
    const app = new pg.Client(host.database.appUrl);
    await app.connect();
    try {
      for (const sql of [
        'select from partitions.execution_logs_rest',
        'delete from partitions.execution_logs_rest',
        'create table partitions.mine ()',
        `select make_log_week('2020-01-06')`,
        'drop table execution_logs',
        `alter table execution_logs detach partition partitions.execution_logs_rest`,
      ]) {
        await expect(app.query(sql)).rejects.toThrow(/permission denied|must be owner/);
      }
    } finally {
      await app.end();
    }
    const { rows } = await admin.query<{ n: number; open: number }>(
      `select count(*)::int as n,
              count(*) filter (
                where not (c.relrowsecurity and c.relforcerowsecurity)
                   or has_table_privilege('stepwell_app', c.oid, 'select, insert, update, delete, truncate')
                   or has_table_privilege('stepwell_system', c.oid, 'select, insert, update, delete, truncate')
              )::int as open
         from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'partitions' and c.relkind = 'r'`,
    );
    expect(rows[0]?.n).toBeGreaterThan(6);
    expect(rows[0]?.open).toBe(0);
  });

  it('come and go with the migration, and no row with them', async () => {
    await makeWeekOf(admin, daysAgo(30));
    await insertOldRun(admin, {
      ...caller,
      begunAt: daysAgo(30),
      attempts: [{}, { status: 'error' }],
    });
    const before = await dump(admin);
    expect(before.length).toBeGreaterThan(4);
    const source = ownerDataSource({
      adminUrl: host.database.adminUrl,
      roles: rolesOf('stepwell_'),
    });
    await source.initialize();
    const rights = ['grant', 'revoke'].map((verb) => {
      const to = verb === 'grant' ? 'to' : 'from';
      return [
        `${verb} stepwell_system ${to} stepwell_owner`,
        `${verb} create on schema public ${to} stepwell_system`,
        `${verb} create on database ${new URL(host.database.adminUrl).pathname.slice(1)} ${to} stepwell_owner`,
      ].join(';');
    });
    try {
      await admin.query(rights[0] ?? '');
      for (;;) {
        const { rows } = await admin.query('select name from migrations order by id desc limit 1');
        await source.undoLastMigration();
        if (rows[0].name === 'log_partitions1763890000000') break;
      }
      expect(await dump(admin)).toEqual(before);
      await source.runMigrations();
      expect(await dump(admin)).toEqual(before);
      const old = await partitionsOf(admin);
      expect(old.map(({ partition }) => partition)).toContain(
        `partitions.execution_logs_${await mondayOf(daysAgo(30))}`,
      );
    } finally {
      await admin.query(rights[1] ?? '');
      await source.destroy();
    }
  });

  async function mondayOf(at: Date): Promise<string> {
    const { rows } = await admin.query<{ day: string }>(
      `select to_char(log_week_of($1), 'YYYYMMDD') as day`,
      [at],
    );
    return rows[0]?.day ?? '';
  }
});

describe('lists of the journal', () => {
  const attempts = 5;
  let host: TestHost;
  let admin: pg.Client;
  let caller: { tenantId: string; ownerId: string };
  const plans: string[] = [];

  beforeAll(async () => {
    host = await startTestHost();
    admin = new pg.Client({ connectionString: host.database.adminUrl });
    await admin.connect();
    const { rows } = await admin.query<{ tenant_id: string; id: string }>('select * from users');
    caller = { tenantId: rows[0]?.tenant_id ?? '', ownerId: rows[0]?.id ?? '' };
    for (const name of ['a', 'b']) {
      const plan = await host.send({
        method: 'POST',
        path: '/api/plans',
        body: { name, steps: [TRANSFORM] },
      });
      expect(plan.status).toBe(201);
      plans.push(plan.body.id);
    }
    for (let day = 21; day >= 1; day -= 4) {
      await makeWeekOf(admin, daysAgo(day));
      for (const planId of plans) {
        await insertOldRun(admin, {
          ...caller,
          planId,
          begunAt: daysAgo(day),
          attempts: Array.from({ length: attempts }, (_, i) => ({
            provider: i % 2 === 0 ? 'logic' : 'http',
            status: ['success', 'error', 'skipped', 'success', 'started'][i] ?? '',
            // Long after its begin, in another week, and at the same time as others.
            endedAt: daysAgo(i === 3 ? day / 2 : day),
          })),
        });
      }
    }
  });

  afterAll(async () => {
    await admin.end();
    await host.close();
  });

  it.each([
    ['', () => true],
    ['&status=error', (log: Log) => log.status === 'error'],
    ['&provider=http', (log: Log) => log.provider === 'http'],
    [
      '&provider=http&status=error',
      (log: Log) => log.provider === 'http' && log.status === 'error',
    ],
    ['&provider=none', () => false],
  ])(
    'of "%s" are paged across partitions, the last first, each row once',
    async (filter, holds) => {
      const all = await listAll('&limit=200');
      expect(all).toHaveLength(6 * 2 * 3);
      const times = all.map(({ timestamp }) => timestamp);
      expect(times).toEqual(times.toSorted().toReversed());
      expect(await listAll(`&limit=3${filter}`)).toEqual(all.filter(holds));
    },
  );

  it('of a plan, an execution, and a time hold what belongs there', async () => {
    const all = await listAll('&limit=200');
    for (const plan of plans) {
      const ofPlan = all.filter((log) => log.plan_id === plan);
      expect(await listAll(`&limit=4&plan_id=${plan}`)).toEqual(ofPlan);
      const errors = ofPlan.filter(({ status }) => status === 'error');
      expect(await listAll(`&limit=4&plan_id=${plan}&status=error`)).toEqual(errors);
    }
    const id = all[5]?.execution_id ?? '';
    expect(await listAll(`&limit=2&execution_id=${id}`)).toEqual(
      all.filter((log) => log.execution_id === id),
    );
    expect(await listAll(`&limit=2&execution_id=${id}&status=error`)).toHaveLength(1);
    const [from, to] = [daysAgo(12).toISOString(), daysAgo(3).toISOString()];
    const between = all.filter(({ timestamp }) => timestamp >= from && timestamp < to);
    expect(between.length).toBeGreaterThan(6);
    expect(await listAll(`&limit=4&from=${from}&to=${to}`)).toEqual(between);
  });

  it('stay as they are for who reads on while more is written', async () => {
    const all = await listAll('&limit=200');
    const first = await host.send({ path: '/api/execution-logs?limit=7' });
    await insertOldRun(admin, { ...caller, begunAt: new Date() });
    const rest = await listAll(`&limit=200&cursor=${String(first.body.next_cursor)}`);
    expect([...first.body.logs, ...rest]).toEqual(all);
    expect(await listAll('&limit=200')).toHaveLength(all.length + 1);
  });

  it('refuse a cursor that none of them gave', async () => {
    for (const text of [
      'x',
      idAt(new Date()),
      `1/${idAt(new Date())}/2`,
      `'/${idAt(new Date())}`,
    ]) {
      const cursor = Buffer.from(text).toString('base64url');
      const answer = await host.send({ path: `/api/execution-logs?cursor=${cursor}` });
      expect(answer).toMatchObject({ status: 400, body: { errors: [{ pointer: '/cursor' }] } });
    }
  });

  async function listAll(query: string): Promise<Log[]> {
    const all: Log[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const next: string = cursor === '' ? '' : `&cursor=${cursor}`;
      const { body } = await host.send({ path: `/api/execution-logs?${query.slice(1)}${next}` });
      all.push(...(body.logs as Log[]));
      cursor = body.next_cursor as string | null;
    }
    return all;
  }
});

interface Log {
  id: string;
  execution_id: string;
  plan_id: string;
  provider: string;
  status: string;
  timestamp: string;
}

async function partitionsOf(admin: pg.Client): Promise<{ id: string; partition: string }[]> {
  const { rows } = await admin.query<{ id: string; partition: string }>(
    'select execution_id as id, tableoid::regclass::text as partition from execution_logs',
  );
  return rows;
}

async function dump(admin: pg.Client): Promise<unknown[]> {
  return (await admin.query('select * from execution_logs order by execution_id, step_id')).rows;
}
