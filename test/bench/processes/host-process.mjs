import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { Api } from '../api.mjs';

const ROOT = join(import.meta.dirname, '..', '..', '..');
const START_MS = 60_000;

/**
 * A host of the built product, as a process of its own, on a home with an embedded PostgreSQL.
 * @typedef {object} HostProcess
 * @property {number} pid
 * @property {number} postmasterPid
 * @property {string} url
 * @property {string} databaseUrl of the superuser
 * @property {Api} api as the operator
 * @property {number} readyMs from its spawn to its first answer
 * @property {() => Promise<void>} stop
 */

/**
 * @param {{ home: string, env: Record<string, string>, profiles: string | null, keeper: object }} options `profiles`:
 *   folder for a CPU profile, written at its end
 * @returns {Promise<HostProcess>}
 */
export async function startHost({ home, env, profiles, keeper }) {
  mkdirSync(home, { recursive: true });
  const begin = performance.now();
  const child = spawn(
    process.execPath,
    [
      ...(profiles === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${profiles}`]),
      join(ROOT, 'dist', 'main.js'),
    ],
    {
      cwd: ROOT,
      env: { PATH: process.env.PATH, STEPWELL_HOME: home, PORT: '0', ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true, // Ctrl-C is the bench's, which stops it in order
    },
  );
  keeper.watch('host', child.pid);
  const url = await readUrl(child);
  const health = await fetch(`${url}/api/health`);
  if (!health.ok) throw new Error(`the host is not healthy: ${await health.text()}`);
  const readyMs = performance.now() - begin;
  const database = readDatabase(home);
  keeper.watch('database', database.pid);
  return {
    pid: child.pid,
    postmasterPid: database.pid,
    url,
    databaseUrl: database.url,
    api: new Api(url, readFileSync(join(home, 'admin.key'), 'utf8').trim()),
    readyMs,
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    },
  };
}

async function readUrl(child) {
  let out = '';
  const { promise, resolve, reject } = Promise.withResolvers();
  child.stdout.setEncoding('utf8').on('data', (text) => {
    out += text;
    const url = /ready at (\S+);/.exec(out)?.[1];
    if (url !== undefined) resolve(url);
  });
  child.once('error', reject);
  child.once('exit', () => reject(new Error('the host ended before it was ready')));
  const timer = setTimeout(() => reject(new Error('the host did not come up')), START_MS);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
  }
}

/** Of the embedded server, from its lock file: process id, data folder, start time, port. */
function readDatabase(home) {
  const folder = join(home, 'postgres');
  const [pid, , , port] = readFileSync(join(folder, 'data', 'postmaster.pid'), 'utf8').split('\n');
  const password = encodeURIComponent(readFileSync(join(folder, 'password'), 'utf8').trim());
  return { pid: Number(pid), url: `postgres://postgres:${password}@127.0.0.1:${port}/stepwell` };
}
