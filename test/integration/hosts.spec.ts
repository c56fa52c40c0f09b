import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';

import { asSuperuser } from '../support/as-superuser.js';
import { json, startCountingServer, type CountingServer } from '../support/counting-server.js';
import { eventually } from '../support/eventually.js';
import { cloneDatabase, type TestDatabase } from '../support/test-database.js';
import { startTestHost, type Answer, type TestHost } from '../support/test-host.js';

const LOGIC = [{ provider: 'logic', action: 'transform', params: { template: 'x' } }];

describe('several hosts on one database', () => {
  let database: TestDatabase;
  let hosts: TestHost[];
  let key: string;

  beforeEach(async () => {
    database = await cloneDatabase();
    hosts = [];
  });

  afterEach(async () => {
    await Promise.all(hosts.map((host) => host.close()));
    await database.drop();
  });

  const start = async (env: Record<string, string> = {}): Promise<TestHost> => {
    const host = await startTestHost({ database, env });
    hosts.push(host);
    if (host.operatorKey !== '') key = host.operatorKey;
    return host;
  };
  const startThree = async (env: Record<string, string>): Promise<TestHost[]> => {
    for (let i = 0; i < 3; i++) await start(env);
    return hosts;
  };
  const stop = async (host: TestHost): Promise<void> => {
    hosts.splice(hosts.indexOf(host), 1);
    await host.close();
  };
  const execute = async (host: TestHost, body: unknown, by = key): Promise<Answer> =>
    await host.send({ method: 'POST', path: '/api/execute', key: by, body });
  const finished = async (host: TestHost, body: unknown, by = key): Promise<string> => {
    const answer = await execute(host, body, by);
    expect(answer.body).toMatchObject({ status: 'success' });
    return answer.body.id as string;
  };
  /** Queues copies of an execution, as if they had found no room. */
  const queueCopies = async (id: string, count: number): Promise<string[]> => {
    const rows = await asSuperuser<{ id: string }>(
      database,
      `insert into executions (tenant_id, id, definition, owner_id, visibility, status, trigger, input)
       select tenant_id, gen_random_uuid(), definition, owner_id, visibility, 'queued', trigger, input
         from executions cross join generate_series(1, $2) where id = $1
       returning id`,
      [id, count],
    );
    return rows.map((row) => row.id);
  };
  const count = async (where: string, params: unknown[] = []): Promise<number> => {
    const sql = `select count(*)::int as n from executions where ${where}`;
    return (await asSuperuser<{ n: number }>(database, sql, params))[0]?.n ?? 0;
  };

  it("let no tenant's two thousand queued runs delay another's single one", async () => {
    const [one] = await startThree({ STEPWELL_MAX_RUNNING_EXECUTIONS: '4' });
    const keyB = (await one!.createTenant('b')).api_key;
    const ofA = await finished(one!, { plan: { steps: LOGIC } });
    const ofB = await finished(one!, { plan: { steps: LOGIC } }, keyB);
    await queueCopies(ofA, 2_000);
    await eventually('the long queue being worked on', async () => {
      return (await count(`status = 'success'`)) > 20;
    });
    const [single] = await queueCopies(ofB, 1);
    await eventually('the single run', async () => {
      return (await count(`id = $1 and status = 'success'`, [single])) === 1;
    });
    const passed = await count(
      `tenant_id = (select tenant_id from executions where id = $1)
         and started_at between (select created_at from executions where id = $2)
                            and (select started_at from executions where id = $2)`,
      [ofA, single],
    );
    expect(passed).toBeLessThan(100);
    expect(await count(`status = 'queued'`)).toBeGreaterThan(500); // or it would prove nothing
  });

  describe('with limits', () => {
    let provider: CountingServer;
    let running = 0;
    let most = 0;
    /** The provider answers no one before. */
    let gate: Promise<unknown> = Promise.resolve();

    beforeEach(async () => {
      [running, most, gate] = [0, 0, Promise.resolve()];
      provider = await startCountingServer(async (_, response) => {
        most = Math.max(most, ++running);
        await gate;
        await delay(60);
        running--;
        json(response, 200, {});
      });
      await startThree({
        STEPWELL_EGRESS_ALLOW: `127.0.0.1:${String(provider.port)}`,
        STEPWELL_MAX_RUNNING_EXECUTIONS: '10',
      });
    });

    afterEach(async () => {
      await provider.close();
    });

    const limit = async (path: string, body: unknown): Promise<void> => {
      const answer = await hosts[0]!.send({ method: 'PUT', path, body, key });
      expect([path, answer.status]).toEqual([path, 200]);
    };
    const runMany = async (times: number): Promise<string[]> => {
      const http = { provider: 'http', action: 'request', params: { url: provider.url } };
      const answers = await Promise.all(
        Array.from({ length: times }, (_, n) =>
          execute(hosts[n % 3]!, { plan: { steps: [http] }, wait: 0 }),
        ),
      );
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 202));
      return answers.map(({ body }) => body.id as string);
    };
    const untilDone = async (ids: string[]): Promise<void> => {
      await eventually('the end of all runs', async () => {
        return (await count(`id = any ($1) and status = 'success'`, [ids])) === ids.length;
      });
    };

    it('hold over all of them, and keep nobody else', async () => {
      await limit('/api/limits/provider/http', { max_running: 2 });
      const opened = Promise.withResolvers<undefined>();
      gate = opened.promise;
      const ids = await runMany(30);
      await eventually('as many as may run', () => most === 2);
      const [youngest] = await asSuperuser<{ id: string }>(
        database,
        `select id from executions where status = 'queued' order by created_at desc limit 1`,
      );
      const kept = await hosts[1]!.send({ path: `/api/executions/${youngest?.id ?? ''}`, key });
      expect(kept.body).toMatchObject({
        status: 'queued',
        held_by_limit: { kind: 'provider', subject: 'http' },
      });
      // Behind them all, and of the same tenant.
      const other = await finished(hosts[2]!, { plan: { steps: LOGIC } });
      const [queued] = await queueCopies(other, 1);
      await untilDone([queued!]);
      expect(await count(`id = any ($1) and status = 'queued'`, [ids])).toBe(28);
      opened.resolve(undefined);
      await untilDone(ids);
      expect(most).toBe(2);

      // Without it more run at a time, or it would prove nothing.
      await hosts[0]!.send({ method: 'DELETE', path: '/api/limits/provider/http', key });
      await untilDone(await runMany(20));
      expect(most).toBeGreaterThan(2);
    });

    it('of the operator hold for whole tenants', async () => {
      await limit('/api/admin/tenants/default/limits', { max_running: 2, weight: 1 });
      expect((await hosts[1]!.send({ path: '/api/limits', key })).body).toEqual({
        limits: [],
        share: { max_running: 2, weight: 1, log_retention_days: null },
        next_cursor: null,
      });
      const opened = Promise.withResolvers<undefined>();
      gate = opened.promise;
      const ids = await runMany(12);
      await eventually('as many as may run', () => most === 2);
      opened.resolve(undefined);
      await untilDone(ids);
      expect(most).toBe(2);
    });
  });

  it('take nobody for dead when the database was away for all, and for some a second longer', async () => {
    const [mine, other] = [randomUUID(), randomUUID()];
    const ask = async <Row extends object>(sql: string, params: unknown[]): Promise<Row[]> =>
      await asSuperuser<Row>(database, sql, params);
    const beatAfter = async (seconds: number): Promise<boolean> => {
      await ask('delete from hosts', []);
      const sql = `insert into hosts (id, heartbeat_at)
                     select id, engine_now() - (case id when $1 then $3::float8 else $3::float8 + 1 end) * interval '1 second'
                       from unnest(array[$1, $2]::uuid[]) as ids (id)`;
      await ask(sql, [mine, other, seconds]);
      await ask('select from heartbeat($1, array[]::uuid[])', [mine]);
      const [row] = await ask<{ may: boolean }>('select may_judge($1) as may', [mine]);
      return row?.may === true;
    };
    expect(await beatAfter(1)).toBe(true);
    // Less than the five seconds after which the other one counts as dead.
    for (const seconds of [4, 4.9, 20])
      expect([seconds, await beatAfter(seconds)]).toEqual([seconds, false]);
  });

  it('share the roles: one answers, one works, one fires schedules', async () => {
    const api = await start({ STEPWELL_ROLES: 'api' });
    const health = async (host: TestHost): Promise<Answer> =>
      await host.send({ path: '/api/health', key: null });
    expect((await health(api)).body).toMatchObject({
      ...{ status: 'degraded', scheduler: 'inactive' },
      reasons: expect.arrayContaining([
        expect.stringContaining('no live host has the role worker'),
      ]),
    });
    const unserved = await execute(api, { plan: { steps: LOGIC }, wait: 0 });
    expect(unserved.body).toMatchObject({ status: 'queued' });

    const worker = await start({ STEPWELL_ROLES: 'worker' });
    const scheduler = await start({ STEPWELL_ROLES: 'scheduler' });
    const refused = await worker.send({ path: '/api/plans', key });
    expect(refused.status).toBe(503);
    expect(refused.headers['content-type']).toMatch('application/problem+json');
    expect(refused.body).toMatchObject({ code: 'service.unavailable' });
    expect((await health(worker)).status).toBe(200);

    const begun = performance.now();
    await finished(api, { plan: { steps: LOGIC }, wait: 10 });
    expect(performance.now() - begun).toBeLessThan(2_000);
    await eventually('what had waited for a worker', async () => {
      return (await count(`id = $1 and status = 'success'`, [unserved.body.id])) === 1;
    });

    const plan = await api.send({
      ...{ method: 'POST', path: '/api/plans', key },
      body: { name: 'p', steps: LOGIC },
    });
    await api.send({
      ...{ method: 'POST', path: `/api/plans/${String(plan.body.id)}/schedule`, key },
      body: { at: new Date(Date.now() + 500).toISOString() },
    });
    await eventually('the schedule', async () => {
      return (await count(`trigger = 'schedule' and status = 'success'`)) === 1;
    });
    await eventually('the tick being seen', async () => {
      return (await health(api)).body.scheduler === 'active';
    });
    await stop(scheduler);
    expect((await health(api)).body).toMatchObject({ scheduler: 'inactive' });
  });

  it('hand over what one of them had when it stops', async () => {
    const gate = Promise.withResolvers<undefined>();
    let calls = 0;
    const provider = await startCountingServer(async (_, response) => {
      if (++calls === 1) json(response, 503, {});
      else {
        await gate.promise;
        json(response, 200, {});
      }
    });
    const env = { STEPWELL_EGRESS_ALLOW: `127.0.0.1:${String(provider.port)}` };
    const first = await start(env);
    const http = { provider: 'http', action: 'request', params: { url: provider.url } };
    // It waits for its next attempt, which another host makes.
    const retry = { max_attempts: 5, backoff_ms: 2_000, factor: 1 };
    const answer = await execute(first, { plan: { steps: [{ ...http, retry }] }, wait: 0 });
    const [queued] = await queueCopies(answer.body.id as string, 1);
    await eventually('the first attempt', () => calls > 0);
    await start(env);
    const stopped = stop(first);
    gate.resolve(undefined); // what was under way ends where it began
    await stopped;
    await eventually('the end of both', async () => {
      const ids = [answer.body.id, queued];
      return (await count(`id = any ($1) and status = 'success'`, [ids])) === 2;
    });
    await provider.close();
  });

  it('begin a claimed run once, however long it takes to be read', async () => {
    const host = await start();
    const [id] = await queueCopies(await finished(host, { plan: { steps: LOGIC } }), 1);
    await eventually(
      'its end',
      async () => (await count(`id = $1 and status = 'success'`, [id])) > 0,
    );
    const reading = new pg.Client({ connectionString: database.adminUrl });
    await reading.connect();
    try {
      await reading.query('begin');
      await reading.query('lock table execution_logs in access exclusive mode');
      // One that was paused a while after it had started, and is resumed.
      await asSuperuser(
        database,
        `update executions set status = 'queued', finished_at = null, lease_epoch = 1,
                started_at = now() - interval '1 minute' where id = $1`,
        [id],
      );
      await eventually(
        'its claim',
        async () => (await count(`id = $1 and status = 'running'`, [id])) > 0,
      );
      const claimedAt = Date.now();
      await eventually('two more beats', async () => {
        const sql = 'select 1 from hosts where heartbeat_at > $1';
        return (await asSuperuser(database, sql, [new Date(claimedAt + 2_500)])).length > 0;
      });
    } finally {
      await reading.end();
    }
    await eventually(
      'its end',
      async () => (await count(`id = $1 and status <> 'running'`, [id])) > 0,
    );
    expect(await count('id = $1 and lease_epoch = 2 and takeovers = 0', [id])).toBe(1);
  });

  it('miss none of them that was killed with a tenant or other work in its hands', async () => {
    const host = await start();
    const id = await finished(host, { plan: { steps: LOGIC } });
    // What a host leaves behind that is killed just when it has taken the tenant's job.
    await asSuperuser(
      database,
      `insert into hosts (id, heartbeat_at, roles, queue_workers)
       values (gen_random_uuid(), now() - interval '6 seconds', '{worker}', '{pool-dead}')`,
    );
    const queued = randomUUID();
    await asSuperuser(
      database,
      `set local session_replication_role = replica; -- no trigger announces it
       insert into executions (tenant_id, id, definition, owner_id, visibility, status, trigger, input, created_at)
         select tenant_id, '${queued}', definition, owner_id, visibility, 'queued', trigger, input,
                now() - interval '3 seconds' from executions where id = '${id}';
       select graphile_worker.add_job('claim_runs', '{}', flags => '{claim_runs}',
                job_key => 'tenant:' || tenant_id) from executions where id = '${id}';
       update graphile_worker._private_jobs set locked_at = now(), locked_by = 'pool-dead'`,
    );
    await eventually(
      'the run that nobody told of',
      async () => (await count(`id = $1 and status = 'success'`, [queued])) === 1,
      6_000,
    );
    await eventually('nothing being locked', async () => {
      const sql = `select 1 from graphile_worker._private_jobs where locked_by = 'pool-dead'`;
      return (await asSuperuser(database, sql)).length === 0;
    });
  });
});
