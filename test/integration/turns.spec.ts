import { randomUUID } from 'node:crypto';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';

import { asSuperuser } from '../support/as-superuser.js';
import { cloneDatabase, type TestDatabase } from '../support/test-database.js';

describe('turns of tenants', () => {
  let database: TestDatabase;
  let host: pg.Client;

  beforeEach(async () => {
    database = await cloneDatabase();
    host = new pg.Client({ connectionString: database.appUrl });
    await host.connect();
  });

  afterEach(async () => {
    await host.end();
    await database.drop();
  });

  /** A tenant with a queued run. @param waitedSeconds for how long that has been queued */
  const addTenant = async (name: string, waitedSeconds: number): Promise<string> => {
    const id = randomUUID();
    await asSuperuser(database, 'insert into tenants (id, name) values ($1, $2)', [id, name]);
    await asSuperuser(
      database,
      `insert into users (tenant_id, id, external_id, name, role) values ($1, $1, 'u', 'u', 'admin')`,
      [id],
    );
    await queueRun(id, waitedSeconds);
    return id;
  };
  const queueRun = async (tenantId: string, waitedSeconds: number): Promise<void> => {
    await asSuperuser(
      database,
      `insert into executions (tenant_id, id, definition, owner_id, visibility, status, trigger, input, created_at)
       values ($1, gen_random_uuid(), '{"steps":[],"pins":{}}', $1, 'private', 'queued', 'manual', '{}',
               now() - $2 * interval '1 second')`,
      [tenantId, waitedSeconds],
    );
  };
  /** In the order in which hosts take them. */
  const line = async (): Promise<string[]> => {
    const jobs = await asSuperuser(
      database,
      `select t.name from graphile_worker._private_jobs j join tenants t on j.key = 'tenant:' || t.id
        order by j.priority, j.run_at`,
    );
    return jobs.map(({ name }) => String(name));
  };
  const tend = async (client: pg.Client, id: string): Promise<void> => {
    await client.query(`select tend_work($1, array['worker'], null)`, [id]);
  };

  it('begin with those who have nothing that waits for long', async () => {
    const busy = await addTenant('busy', 60);
    await addTenant('lone', 0);
    expect(await line()).toEqual(['lone', 'busy']);
    await queueRun(busy, 0);
    expect(await line()).toEqual(['lone', 'busy']);
  });

  it('are kept by those who wait for theirs while they are announced again', async () => {
    const first = await addTenant('first', 0);
    await asSuperuser(
      database,
      `update executions set created_at = now() - interval '1 minute' where tenant_id = $1`,
      [first],
    );
    await queueRun(first, 0);
    await addTenant('second', 0);
    expect(await line()).toEqual(['first', 'second']);
  });

  it('come to those who wait, however many come after them', async () => {
    for (let n = 0; n < 12; n++) await addTenant(`busy ${String(n)}`, 60);
    await asSuperuser(
      database,
      `update graphile_worker._private_jobs set run_at = run_at - interval '3 seconds'`,
    );
    for (let n = 0; n < 3; n++) await addTenant(`lone ${String(n)}`, 0);
    expect((await line()).slice(0, 3)).toEqual(['lone 0', 'lone 1', 'lone 2']);
    await tend(host, randomUUID());
    const after = await line();
    expect(after.slice(0, 10)).toEqual(Array.from({ length: 10 }, (_, n) => `busy ${String(n)}`));
    expect(after.slice(10)).toEqual(['lone 0', 'lone 1', 'lone 2', 'busy 10', 'busy 11']);
  });

  it('are given for room within limits only to those who have something queued', async () => {
    const waiting = await addTenant('waiting', 0);
    const done = await addTenant('done', 0);
    await asSuperuser(
      database,
      `update executions set status = 'success', finished_at = now() where tenant_id = $1`,
      [done],
    );
    await asSuperuser(database, 'delete from graphile_worker._private_jobs');
    await host.query('select announce_room($1)', [[waiting, done]]);
    expect(await line()).toEqual(['waiting']);
  });

  it('are seen to without keeping a heartbeat waiting', async () => {
    const id = randomUUID();
    await host.query('select * from heartbeat($1, $2)', [id, []]);
    await tend(host, id);
    const other = new pg.Client({ connectionString: database.appUrl, statement_timeout: 2_000 });
    await other.connect();
    try {
      await host.query('begin');
      await tend(host, id);
      await other.query('select * from heartbeat($1, $2)', [id, []]);
      await host.query('commit');
    } finally {
      await other.end();
    }
  });
});
