import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

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
const RELOCK_PAUSE_MS = 100;
const HOST_ANSWER_MS = 1_000;

export interface OpenDatabase {
  /** Connects as the app role. */
  appUrl: string;
  rootKey: Buffer;
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
    return { appUrl, rootKey, close: () => Promise.resolve() };
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
      rootKey,
      close: async () => {
        await lock.release();
        await server.stop();
      },
    };
  } catch (error) {
    await lock.release();
    await server.stop();
    throw error;
  }
}

interface HomeLock {
  release(): Promise<void>;
}

/**
 * One host per embedded home. The lock is a session of the database, so it goes with its holder
 * however that ends; the database of a host that was just killed needs a moment to notice. When the
 * database itself loses the session, the lock is taken again as soon as it is back.
 * @throws StartupError when another host lives on this home
 */
async function lockHome(home: string, url: string): Promise<HomeLock> {
  const deadline = performance.now() + HOME_LOCK_DEADLINE_MS;
  let client: pg.Client | null;
  for (;;) {
    client = await tryLock(url);
    const holder = readHostFile(home);
    const isHeld = client === null;
    if (holder && holder.pid !== process.pid && (await answers(holder, isHeld))) {
      await client?.end();
      throw anotherHost(home, holder);
    }
    if (client) break;
    if (performance.now() > deadline) throw anotherHost(home, holder);
    await delay(RELOCK_PAUSE_MS);
  }

  let isReleased = false;
  const keep = (held: pg.Client): void => {
    client = held;
    held.once('end', () => {
      if (!isReleased) void relock();
    });
  };
  const relock = async (): Promise<void> => {
    while (!isReleased) {
      await delay(RELOCK_PAUSE_MS, undefined, { ref: false });
      const again = await tryLock(url).catch(() => null);
      if (again) {
        keep(again);
        return;
      }
    }
  };
  keep(client);
  return {
    release: async () => {
      isReleased = true;
      await client?.end();
    },
  };
}

/** A session that holds the lock; null when another one does. */
async function tryLock(url: string): Promise<pg.Client | null> {
  const client = new pg.Client({ connectionString: url });
  // The end of the session is what counts, and `end` tells it.
  client.on('error', () => undefined);
  await client.connect();
  const { rows } = await client.query<{ locked: boolean }>(
    'select pg_try_advisory_lock($1) as locked',
    [HOME_LOCK],
  );
  if (rows[0]?.locked === true) return client;
  await client.end();
  return null;
}

/**
 * Whether the host of a host.json lives. After a crash its process id may be anybody's, so where
 * nobody holds the lock the host has to answer as well.
 */
async function answers(holder: HostFile, isHeld: boolean): Promise<boolean> {
  if (!isAlive(holder.pid)) return false;
  if (isHeld) return true;
  const signal = AbortSignal.timeout(HOST_ANSWER_MS);
  const answer = await fetch(new URL('/api/health/live', holder.url), { signal }).catch(() => null);
  return answer?.ok === true;
}

export function anotherHost(home: string, holder: HostFile | null): StartupError {
  const who = holder ? ` (pid ${String(holder.pid)}, ${holder.url})` : '';
  return new StartupError(
    `another Stepwell host${who} runs on ${home}; stop it, or set STEPWELL_HOME to another folder`,
  );
}
