import { randomBytes } from 'node:crypto';

import pg from 'pg';

/** See postgres-servers.js. */
const TEMPLATE = 'stepwell_template';

export interface TestDatabase {
  /** The superuser, who sees everything. */
  adminUrl: string;
  /** The role that requests run as. */
  appUrl: string;
  /** The key that postgres-servers.js prepared it with. */
  rootKey: Buffer;
  drop(): Promise<void>;
}

/** A fresh, migrated database on the PostgreSQL that the jest project names. */
export async function cloneDatabase(): Promise<TestDatabase> {
  const version = String((globalThis as unknown as { postgresVersion: number }).postgresVersion);
  const name = `test_${randomBytes(6).toString('hex')}`;
  const adminUrl = requireEnv(`TEST_PG${version}_ADMIN_URL`);
  const maintenance = new pg.Client({ connectionString: onDatabase(adminUrl, 'postgres') });
  await maintenance.connect();
  await maintenance.query(`create database ${name} template ${TEMPLATE}`);
  return {
    adminUrl: onDatabase(adminUrl, name),
    appUrl: onDatabase(requireEnv(`TEST_PG${version}_APP_URL`), name),
    rootKey: Buffer.alloc(32, 7),
    drop: async () => {
      await maintenance.query(`drop database ${name} with (force)`);
      await maintenance.end();
    },
  };
}

function onDatabase(url: string, database: string): string {
  const parsed = new URL(url);
  parsed.pathname = `/${database}`;
  return parsed.href;
}

function requireEnv(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: run this through npm test`);
  return value;
}
