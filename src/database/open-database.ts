import { join } from 'node:path';

import pg from 'pg';

import { StartupError } from '../common/errors.js';
import type { Config } from '../config/config.js';
import { isAlive, readHostFile, type HostFile } from '../config/host-file.js';
import { startEmbeddedPostgres } from './embedded-postgres.js';
import { prepareDatabase } from './prepare-database.js';
import { readRootKey } from './root-key.js';

/** Any number; held for as long as a host lives on an embedded database. */
const HOME_LOCK = 7_301_946_501;
const HOME_LOCK_DEADLINE_MS = 10_000;

export interface OpenDatabase {
  /** Connects as the app role. */
  appUrl: string;
  close(): Promise<void>;
}

/**
 * The database of the configuration, started when it is the embedded one, migrated and proven.
 * @throws StartupError with one line that says what to do.
 */
export async function openDatabase(config: Config): Promise<OpenDatabase> {
  const rootKey = readRootKey(config);
  if (config.databaseUrl !== null) {
    const appUrl = await prepareDatabase({
      adminUrl: config.migrationUrl ?? config.databaseUrl,
      appUrl: config.migrationUrl === null ? null : config.databaseUrl,
      rolePrefix: config.dbRolePrefix,
      rootKey,
    });
    return { appUrl, close: () => Promise.resolve() };
  }

  const server = await startEmbeddedPostgres({
    directory: join(config.home, 'postgres'),
    database: 'stepwell',
  });
  const lock = await lockHome(config.home, server.url);
  try {
    const appUrl = await prepareDatabase({
      adminUrl: server.url,
      appUrl: null,
      rolePrefix: config.dbRolePrefix,
      rootKey,
    });
    return {
      appUrl,
      close: async () => {
        await lock.end();
        await server.stop();
      },
    };
  } catch (error) {
    await lock.end();
    await server.stop();
    throw error;
  }
}

/**
 * One host per embedded home. The lock is a session of the database, so it goes with its holder
 * however that ends; the database of a host that was just killed needs a moment to notice.
 */
async function lockHome(home: string, url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  // When the server is gone, the queries of the host say so; the lock's own session has no more to add.
  client.on('error', () => undefined);
  await client.connect();
  const deadline = performance.now() + HOME_LOCK_DEADLINE_MS;
  for (;;) {
    const { rows } = await client.query<{ locked: boolean }>(
      'select pg_try_advisory_lock($1) as locked',
      [HOME_LOCK],
    );
    if (rows[0]?.locked === true) return client;
    const holder = readHostFile(home);
    const holderLives = holder !== null && isAlive(holder.pid);
    if (holderLives || performance.now() > deadline) {
      await client.end();
      throw anotherHost(home, holder);
    }
    await client.query('select pg_sleep(0.1)');
  }
}

export function anotherHost(home: string, holder: HostFile | null): StartupError {
  const who = holder ? ` (pid ${String(holder.pid)}, ${holder.url})` : '';
  return new StartupError(
    `another Stepwell host${who} runs on ${home}; stop it, or set STEPWELL_HOME to another folder`,
  );
}
