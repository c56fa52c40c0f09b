import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import pg from 'pg';

import { StartupError } from '../common/errors.js';
import { isAlive } from '../config/host-file.js';
import { initCluster, SUPERUSER } from './init-cluster.js';
import { findPostgresBinaries, type PostgresBinaries } from './postgres-binaries.js';
import { serverEnv, unprivileged } from './unprivileged.js';

const START_DEADLINE_MS = 30_000;
const STOP_DEADLINE_MS = 15_000;
const RELAUNCH_PAUSE_MS = 250;

export interface EmbeddedPostgres {
  /** postgres:// URL of the superuser, for migrations; requests never use it. */
  url: string;
  stop(): Promise<void>;
}

export interface EmbeddedOptions {
  /** Folder that holds `data`, `password` and `server.log`. */
  directory: string;
  database: string;
  binaries?: PostgresBinaries;
  /** Further settings of the server, such as `fsync=off` in tests. */
  settings?: string[];
}

/**
 * Brings up PostgreSQL in `directory`, making the cluster at first. A server that a killed host left
 * behind is taken over; one that is still recovering is waited for.
 * @throws StartupError when it doesn't come up, with the reason that the server's log gives.
 */
export async function startEmbeddedPostgres(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const binaries = options.binaries ?? (await findPostgresBinaries());
  mkdirSync(options.directory, { recursive: true, mode: 0o700 });
  const password = readOrMakePassword(options.directory);
  const data = join(options.directory, 'data');
  if (!existsSync(join(data, 'PG_VERSION'))) initCluster({ binaries, data, password });

  const deadline = performance.now() + START_DEADLINE_MS;
  let reason = 'it did not answer in time';
  while (performance.now() < deadline) {
    const running = readPostmaster(data);
    const server = running ?? (await launch({ ...options, binaries, data }));
    const url = superuserUrl(server.port, password, SUPERUSER);
    const outcome = await waitUntilReady({ url, data, server, deadline });
    if (outcome === 'ready') {
      await ensureDatabase(url, options.database);
      const supervised = supervise(server, () =>
        launch({ ...options, binaries, data, port: server.port }),
      );
      return {
        url: superuserUrl(server.port, password, options.database),
        stop: () => stop(supervised.release(), data),
      };
    }
    if (outcome === 'foreign') {
      // The process id was given to another program after a reboot or a crash.
      rmSync(join(data, 'postmaster.pid'), { force: true });
    }
    reason = lastLogLine(options.directory) ?? reason;
    if (outcome === 'exited' && !/in use|already|starting up|lock file/i.test(reason)) break;
    await delay(100);
  }
  throw new StartupError(
    `embedded PostgreSQL did not start: ${reason} (see ${logPath(options.directory)})`,
  );
}

/** A server that dies under its host is brought back on the same port, where all connections look for it. */
function supervise(first: Server, relaunch: () => Promise<Server>): { release(): Server } {
  let current = first;
  let isReleased = false;
  const hasBeenReleased = (): boolean => isReleased;
  const watch = (server: Server): void => {
    current = server;
    server.child?.once('exit', () => {
      void bringBack();
    });
  };
  const bringBack = async (): Promise<void> => {
    for (;;) {
      await delay(RELAUNCH_PAUSE_MS, undefined, { ref: false });
      if (hasBeenReleased()) return;
      const server = await relaunch().catch(() => null);
      if (!server) continue;
      watch(server);
      // Released while it came up: nobody else will stop it.
      if (hasBeenReleased()) signal(server.pid, 'SIGINT');
      return;
    }
  };
  watch(first);
  return {
    release: () => {
      isReleased = true;
      return current;
    },
  };
}

interface Server {
  pid: number;
  port: number;
  child: ChildProcess | null;
}

async function launch(
  input: EmbeddedOptions & { binaries: PostgresBinaries; data: string; port?: number },
): Promise<Server> {
  const port = input.port ?? (await freePort());
  const settings = [
    'listen_addresses=127.0.0.1',
    `port=${String(port)}`,
    // Loopback TCP only: a socket's path has a limit of 107 characters, a home does not.
    'unix_socket_directories=',
    'max_connections=200',
    'log_line_prefix=',
    ...(input.settings ?? []),
  ];
  const { command, args, ids } = unprivileged(
    input.binaries.postgres,
    ['-D', input.data, ...settings.flatMap((setting) => ['-c', setting])],
    input.directory,
  );
  const log = openSync(logPath(input.directory), 'w', 0o600);
  try {
    // In a process group of its own: Ctrl-C must reach the host alone, which stops it in order.
    const child = spawn(command, args, {
      detached: true,
      env: serverEnv(),
      stdio: ['ignore', log, log],
      ...ids,
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    child.unref();
    return { pid: child.pid ?? 0, port, child };
  } finally {
    closeSync(log);
  }
}

async function waitUntilReady(input: {
  url: string;
  data: string;
  server: Server;
  deadline: number;
}): Promise<'ready' | 'exited' | 'foreign' | 'timeout'> {
  const { server } = input;
  while (performance.now() < input.deadline) {
    const gone = server.child ? server.child.exitCode !== null : !isAlive(server.pid);
    if (gone) return 'exited';
    const client = new pg.Client({ connectionString: input.url, connectionTimeoutMillis: 2000 });
    client.on('error', ignoreLateDisconnect);
    try {
      await client.connect();
      await client.query('select 1');
      return 'ready';
    } catch (error) {
      const code = (error as { code?: string }).code;
      if (code === '28P01') {
        throw new StartupError('the password file of the embedded PostgreSQL was changed', error);
      }
      // 57P03: starting up or shutting down. ECONNREFUSED: not listening yet, or not PostgreSQL.
      if (code !== '57P03' && !server.child && !looksLikePostgres(server.pid)) return 'foreign';
      await delay(20);
    } finally {
      await client.end().catch(ignoreLateDisconnect);
    }
  }
  return 'timeout';
}

/** A connection that ends while we close it tells nothing that the caller doesn't know. */
function ignoreLateDisconnect(): void {
  return;
}

async function ensureDatabase(url: string, database: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const found = await client.query('select 1 from pg_database where datname = $1', [database]);
    if (found.rowCount === 0)
      await client.query(`create database ${pg.escapeIdentifier(database)}`);
  } finally {
    await client.end();
  }
}

async function stop(server: Server, data: string): Promise<void> {
  signal(server.pid, 'SIGINT'); // fast shutdown: roll back, checkpoint, exit
  if (await hasStopped(server, data)) return;
  signal(server.pid, 'SIGQUIT'); // immediate shutdown: recovery at the next start
  await hasStopped(server, data);
}

/** A server that was taken over isn't our child: its lock file going tells that it has ended. */
async function hasStopped(server: Server, data: string): Promise<boolean> {
  const end = performance.now() + STOP_DEADLINE_MS;
  while (performance.now() < end) {
    const ended = server.child
      ? server.child.exitCode !== null || server.child.signalCode !== null
      : !existsSync(join(data, 'postmaster.pid')) || !isAlive(server.pid);
    if (ended) return true;
    await delay(20);
  }
  return false;
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** A running postmaster, as its lock file tells: pid, data directory, start time, port. */
function readPostmaster(data: string): Server | null {
  const path = join(data, 'postmaster.pid');
  if (!existsSync(path)) return null;
  const lines = readFileSync(path, 'utf8').split('\n');
  const pid = Number(lines[0]);
  const port = Number(lines[3]);
  if (!Number.isInteger(pid) || pid <= 0 || !isAlive(pid)) return null;
  return Number.isInteger(port) && port > 0 ? { pid, port, child: null } : null;
}

function looksLikePostgres(pid: number): boolean {
  const cmdline = `/proc/${String(pid)}/cmdline`;
  return !existsSync(cmdline) || readFileSync(cmdline, 'utf8').includes('postgres');
}

function readOrMakePassword(directory: string): string {
  const path = join(directory, 'password');
  try {
    writeFileSync(path, randomBytes(24).toString('base64url'), { mode: 0o600, flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  return readFileSync(path, 'utf8').trim();
}

function superuserUrl(port: number, password: string, database: string): string {
  return `postgres://${SUPERUSER}:${encodeURIComponent(password)}@127.0.0.1:${String(port)}/${database}`;
}

function logPath(directory: string): string {
  return join(directory, 'server.log');
}

function lastLogLine(directory: string): string | null {
  if (!existsSync(logPath(directory))) return null;
  const lines = readFileSync(logPath(directory), 'utf8').trim().split('\n');
  return lines.findLast((line) => /FATAL|ERROR|PANIC/.test(line)) ?? lines.at(-1) ?? null;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => {
    server.close(() => {
      resolve();
    });
  });
  return port;
}
