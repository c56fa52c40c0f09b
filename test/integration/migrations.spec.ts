import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { getMetadataArgsStorage } from 'typeorm';

import { ownerDataSource, prepareDatabase } from '../../src/database/prepare-database.js';
import { rolesOf } from '../../src/database/roles.js';
import { ENTITIES } from '../support/entities.js';
import { cloneDatabase, type TestDatabase } from '../support/test-database.js';

/** Tables that only functions and migrations touch. */
const WITHOUT_ENTITY = ['hosts', 'installation', 'migrations'];

describe('migrations', () => {
  let database: TestDatabase;
  let admin: pg.Client;

  beforeAll(async () => {
    database = await cloneDatabase();
    admin = new pg.Client({ connectionString: database.adminUrl });
    await admin.connect();
  });

  afterAll(async () => {
    await admin.end();
    await database.drop();
  });

  it('and entities say the same', async () => {
    const source = ownerDataSource({
      adminUrl: database.adminUrl,
      roles: rolesOf('stepwell_'),
      entities: ENTITIES,
    });
    await source.initialize();
    try {
      const drift = await source.driver.createSchemaBuilder().log();
      expect(drift.upQueries.map(({ query }) => query)).toEqual([]);
    } finally {
      await source.destroy();
    }
  });

  it('leave no table without an entity or a reason', async () => {
    const { rows } = await admin.query<{ tablename: string }>(
      `select tablename from pg_tables where schemaname = 'public'`,
    );
    const mapped = new Set([
      ...getMetadataArgsStorage().tables.map((table) => table.name),
      ...WITHOUT_ENTITY,
    ]);
    expect(rows.map((row) => row.tablename).filter((name) => !mapped.has(name))).toEqual([]);
    expect(ENTITIES).toHaveLength(mapped.size - WITHOUT_ENTITY.length);
  });

  it('of the queue may be repeated, and are refused when it is newer than this code', async () => {
    const options = {
      ...{ adminUrl: database.adminUrl, appUrl: null, rolePrefix: 'stepwell_' },
      rootKey: database.rootKey,
    };
    await prepareDatabase(options);
    await admin.query('insert into graphile_worker.migrations (id, breaking) values (999, true)');
    await expect(prepareDatabase(options)).rejects.toThrow(
      /^the queue in this database is newer \(999\) than this code knows \(\d+\); start the/,
    );
    expect(process.exitCode).toBeUndefined();
    await admin.query('delete from graphile_worker.migrations where id = 999');
    const { rows } = await admin.query(
      `select has_database_privilege('stepwell_owner', current_database(), 'create') as owner,
              has_schema_privilege('stepwell_app', 'graphile_worker', 'create') as app`,
    );
    expect(rows).toEqual([{ owner: false, app: false }]);
  });

  it('go down to nothing and up again', async () => {
    const source = ownerDataSource({ adminUrl: database.adminUrl, roles: rolesOf('stepwell_') });
    await source.initialize();
    try {
      await admin.query('grant stepwell_system to stepwell_owner');
      await admin.query('grant create on schema public to stepwell_system');
      const [name] = (await admin.query<{ name: string }>('select current_database() as name'))
        .rows;
      await admin.query(`grant create on database ${name?.name ?? ''} to stepwell_owner`);
      for (let i = 0; i < source.migrations.length; i++) await source.undoLastMigration();
      const { rows } = await admin.query(
        `select relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
          where n.nspname = 'public' and relkind in ('r', 'v') and relname <> 'migrations'
         union all
         select proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname = 'public'`,
      );
      expect(rows).toEqual([]);
      await source.runMigrations();
      const again = await admin.query(
        `select count(*)::int as n from pg_tables where schemaname = 'public'`,
      );
      expect(again.rows).toEqual([{ n: ENTITIES.length + WITHOUT_ENTITY.length }]);
    } finally {
      await admin.query('revoke create on schema public from stepwell_system');
      await admin.query('revoke stepwell_system from stepwell_owner');
      await source.destroy();
    }
  });
});
