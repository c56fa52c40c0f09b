import { setTimeout as delay } from 'node:timers/promises';

import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { DataSource } from 'typeorm';

import type { HostRole } from '../../src/config/host-roles.js';
import { Database } from '../../src/database/database.js';
import { GraphileWorkQueue } from '../../src/queue/graphile-work-queue.js';
import { ThisHost } from '../../src/queue/this-host.js';
import type { WorkTask } from '../../src/queue/work-queue.js';
import { asSuperuser } from '../support/as-superuser.js';
import { eventually } from '../support/eventually.js';
import { cloneDatabase, type TestDatabase } from '../support/test-database.js';

describe('the work queue', () => {
  let database: TestDatabase;
  let source: DataSource;
  let stops: (() => Promise<void>)[];

  beforeEach(async () => {
    Logger.overrideLogger(false);
    database = await cloneDatabase();
    source = new DataSource({ type: 'postgres', url: database.appUrl });
    await source.initialize();
    stops = [];
  });

  afterEach(async () => {
    for (const stop of stops) await stop();
    await source.destroy();
    await database.drop();
    Logger.overrideLogger(['log', 'warn', 'error', 'fatal', 'debug', 'verbose']);
  });

  const start = (tasks: WorkTask[], roles: HostRole[] = ['worker']): GraphileWorkQueue => {
    const host = new ThisHost(roles);
    const queue = new GraphileWorkQueue(new Database(source), host, database.appUrl);
    for (const task of tasks) queue.register(task);
    queue.onApplicationBootstrap();
    stops.push(async () => {
      await queue.stop();
      await queue.onApplicationShutdown();
    });
    return queue;
  };
  const jobs = async (): Promise<unknown[]> =>
    await asSuperuser(database, 'select locked_by, attempts from graphile_worker._private_jobs');

  it('does each job once over several hosts, and none on a host without the role', async () => {
    const done: unknown[] = [];
    const task = (host: string): WorkTask => ({
      name: 'count',
      concurrency: 2,
      run: ({ n }) => {
        done.push([host, n]);
        return Promise.resolve();
      },
    });
    const api = start([task('api')], ['api', 'scheduler']);
    start([task('one')]);
    start([task('two')]);
    await Promise.all(
      Array.from({ length: 60 }, (_, n) => api.add({ task: 'count', payload: { n } })),
    );
    await eventually('all jobs being done', () => done.length >= 60);
    await eventually('an empty queue', async () => (await jobs()).length === 0);
    expect(done).toHaveLength(60);
    expect(new Set(done.map((one) => (one as [string, number])[0]))).toEqual(
      new Set(['one', 'two']),
    );
  });

  it('keeps one job for a key, does it when its time comes, and takes no more than fit', async () => {
    let open = false;
    let running = 0;
    const seen: unknown[] = [];
    let most = 0;
    const queue = start([
      {
        name: 'slow',
        concurrency: 2,
        isFull: () => !open,
        run: async ({ n }) => {
          most = Math.max(most, ++running);
          await delay(20);
          seen.push(n);
          running--;
        },
      },
      { name: 'quick', concurrency: 4, run: () => Promise.resolve() },
    ]);
    for (const n of [1, 2, 3])
      await queue.add({ task: 'slow', payload: { n }, key: 'k', runAt: new Date() });
    for (const n of [4, 5, 6, 7]) await queue.add({ task: 'slow', payload: { n } });
    await queue.add({ task: 'slow', payload: { n: 8 }, runAt: new Date(Date.now() + 60_000) });
    await queue.add({ task: 'quick', payload: {} });
    await eventually('the quick one', async () => (await jobs()).length === 6);
    expect(seen).toEqual([]); // the gate was shut
    open = true;
    queue.nudge();
    await eventually('those that are due', () => seen.length >= 5);
    expect([...seen].sort()).toEqual([3, 4, 5, 6, 7]);
    expect(most).toBe(2);
    await eventually('one being left', async () => (await jobs()).length === 1);
  });

  it('tries again later what threw', async () => {
    let tries = 0;
    const queue = start([
      {
        name: 'fails',
        concurrency: 1,
        run: () => (++tries === 1 ? Promise.reject(new Error('no')) : Promise.resolve()),
      },
    ]);
    await queue.add({ task: 'fails', payload: {} });
    await eventually('the job being put back', async () =>
      (await jobs()).some((job) => (job as { locked_by: unknown }).locked_by === null),
    );
    await asSuperuser(database, 'update graphile_worker._private_jobs set run_at = now()');
    await eventually('an empty queue', async () => (await jobs()).length === 0);
    expect(tries).toBe(2);
  });

  it('outlives its connections: nothing is lost, nothing stays locked, nobody ends the process', async () => {
    const output = (['error', 'warn', 'trace', 'log'] as const).map((method) =>
      jest.spyOn(console, method).mockImplementation(() => undefined),
    );
    const done = new Set<unknown>();
    const task: WorkTask = {
      name: 'steady',
      concurrency: 3,
      run: async ({ n }) => {
        await delay(2);
        done.add(n);
      },
    };
    const one = start([task]);
    start([task]);
    const total = 150;
    let killed = 0;
    for (let n = 0; n < total; n++) {
      await one.add({ task: 'steady', payload: { n } });
      if (n % 30 === 15) {
        // After the last time, some of them may not be back yet.
        killed += await eventually('a connection to break', async () => {
          const rows = await asSuperuser(
            database,
            `select pg_terminate_backend(pid) from pg_stat_activity
              where datname = current_database() and application_name = 'stepwell queue'`,
          );
          return rows.length > 0 && rows.length;
        });
      }
    }
    await eventually('all jobs being done', () => done.size === total, 25_000);
    await eventually('an empty queue', async () => (await jobs()).length === 0);
    expect(killed).toBeGreaterThanOrEqual(5);
    for (const spy of output) {
      expect(spy).not.toHaveBeenCalled();
      spy.mockRestore();
    }
    expect(process.exitCode).toBeUndefined();
  });

  it('keeps nothing of a job that was replaced while a host had it that died', async () => {
    const queue = start([]);
    const job = { task: 'poll', payload: {}, key: 'a' };
    await queue.add(job);
    const taken = `locked_at = now(), locked_by = 'dead', attempts = 1`;
    await asSuperuser(database, `update graphile_worker._private_jobs set ${taken}`);
    await queue.add(job);
    expect(await jobs()).toHaveLength(2);
    await asSuperuser(database, `select free_jobs('{dead}')`);
    expect(await jobs()).toEqual([{ locked_by: null, attempts: 0 }]);
  });

  it('lets the app role take and end jobs, and neither add any nor make anything', async () => {
    for (const sql of [
      `insert into graphile_worker._private_jobs (task_id) values (1)`,
      `update graphile_worker._private_jobs set task_id = 1`,
      `select graphile_worker.add_job('claim_runs', '{}')`,
      `create table graphile_worker.mine (id int)`,
      `alter table graphile_worker._private_jobs disable row level security`,
    ]) {
      await expect([sql, source.query(sql)][1]).rejects.toThrow(/permission denied|must be owner/);
    }
    const tables = await asSuperuser<{ relrowsecurity: boolean; relname: string }>(
      database,
      `select relname, relrowsecurity from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'graphile_worker' and relkind = 'r' and relname <> 'migrations'`,
    );
    expect(tables.length).toBeGreaterThan(2);
    for (const { relrowsecurity } of tables) expect(relrowsecurity).toBe(true);
  });
});
