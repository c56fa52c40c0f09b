/**
 * `npm run chaos`: hosts on one PostgreSQL are killed at random points under load, and a provider on
 * loopback counts what reaches it by the key of each effect. Prints what was accepted, finished, lost
 * and repeated. Exits with 1 when anything was lost or silently repeated.
 *
 *   node test/chaos/chaos.mjs [--kills 200] [--hosts 3] [--runs 30] [--seed 1] [--json]
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import pg from 'pg';

import { startEmbeddedPostgres } from '../../dist/database/embedded-postgres.js';

const ROOT = join(import.meta.dirname, '..', '..');
const KILLS = option('kills', 200);
const HOSTS = option('hosts', 3);
/** In flight at the same time. */
const RUNS = option('runs', 30);
const SETTLE_MS = 60_000;
/** A stopped host has to miss its lease of five seconds. */
const STOP_MS = 7_000;

const random = randomOf(option('seed', Math.floor(Math.random() * 2 ** 31)));
const directory = mkdtempSync(join(tmpdir(), 'stepwell-chaos-'));
const provider = await startProvider();
const postgres = await startEmbeddedPostgres({ directory, database: 'stepwell' });
const database = new pg.Pool({ connectionString: postgres.url, max: 3 });
const key = randomBytes(32).toString('base64');
const hosts = [];
const accepted = new Set();
const takeovers = [];
const faults = { kill: 0, stop: 0, child: 0 };
let isLoading = true;

try {
  for (let n = 0; n < HOSTS; n++) hosts.push(await startHost(n));
  const admin = readFileSync(join(directory, 'host-0', 'admin.key'), 'utf8').trim();
  const plan = await createPlan(admin);
  const load = Array.from({ length: RUNS }, (_, n) => keepRunning(plan, admin, n));
  await delay(1_000);
  for (let n = 0; n < KILLS; n++) {
    await delay(200 + random() * 1_000);
    await strike(n);
  }
  isLoading = false;
  await Promise.all(load);
  await settle();
  report(await count());
} finally {
  isLoading = false;
  await Promise.all(hosts.map(({ child }) => end(child, 'SIGTERM')));
  await database.end();
  await postgres.stop();
  provider.close();
  rmSync(directory, { recursive: true, force: true });
}

/** Mostly kill -9; now and then a host that hangs past its lease and comes back, or a dead sandbox child. */
async function strike(n) {
  const at = Math.floor(random() * hosts.length);
  const host = hosts[at];
  const kind = random();
  if (kind < 0.1) {
    faults.child++;
    for (const pid of childrenOf(host.child.pid)) tryKill(pid, 'SIGKILL');
    return;
  }
  const held = await runsOf(host);
  const since = performance.now();
  if (kind < 0.2) {
    faults.stop++;
    host.child.kill('SIGSTOP');
    const taken = watchTakeover(host, held, since);
    await delay(STOP_MS);
    host.child.kill('SIGCONT');
    await taken;
    return;
  }
  faults.kill++;
  host.child.kill('SIGKILL');
  void watchTakeover(host, held, since);
  hosts[at] = await startHost(n + HOSTS, host.home);
}

/** How long runs of a host that is gone stay with it. */
async function watchTakeover(host, held, since) {
  while (held.length > 0) {
    const { rows } = await database.query(
      `select count(*)::int as left from executions
        where id = any ($1) and status = 'running' and host_id = $2`,
      [held, host.id],
    );
    if (rows[0].left === 0) {
      takeovers.push(performance.now() - since);
      return;
    }
    if (performance.now() - since > SETTLE_MS) {
      takeovers.push(Infinity);
      return;
    }
    await delay(50);
  }
}

async function runsOf(host) {
  const { rows } = await database.query(
    `select e.id, e.host_id from executions e where e.status = 'running' and e.host_id is not null`,
  );
  // Which row of hosts is which process: the one that appeared last when it was started.
  return rows.filter(({ host_id: id }) => id === host.id).map(({ id }) => id);
}

async function startHost(n, home = join(directory, `host-${n}`)) {
  const known = await hostIds();
  const child = spawn(process.execPath, [join(ROOT, 'dist', 'main.js')], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      PATH: process.env.PATH,
      STEPWELL_HOME: home,
      PORT: '0',
      DATABASE_URL: postgres.url,
      STEPWELL_ENCRYPTION_KEY: key,
      STEPWELL_EGRESS_ALLOW: `127.0.0.1:${provider.port}`,
      STEPWELL_MAX_SANDBOX_CHILDREN: '2',
      LOG_LEVEL: 'fatal',
    },
  });
  let out = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (out += text));
  const deadline = performance.now() + 60_000;
  for (;;) {
    const url = /ready at (\S+);/.exec(out)?.[1];
    const id = url && (await hostIds()).find((one) => !known.includes(one));
    if (url && id) return { child, url, home, id };
    if (child.exitCode !== null) throw new Error(`a host ended: ${child.exitCode}`);
    if (performance.now() > deadline) throw new Error('a host did not come up');
    await delay(20);
  }
}

async function hostIds() {
  try {
    const { rows } = await database.query('select id from hosts');
    return rows.map(({ id }) => id);
  } catch (error) {
    if (error.code === '42P01') return []; // before the first migration
    throw error;
  }
}

async function createPlan(admin) {
  const step = (id, method, more = {}) => ({
    id,
    provider: 'http',
    action: 'request',
    params: {
      method,
      url: `${provider.url}/${method}/\${execution.id}/${id}`,
      ...(method === 'POST' ? { body: { n: 1 } } : {}),
    },
    ...more,
  });
  const steps = [
    step('look', 'GET'),
    step('first', 'POST'),
    step('again', 'GET', { depends_on: ['first'] }),
    step('beside', 'POST', { depends_on: ['look'] }),
    step('last', 'POST', { depends_on: ['again', 'beside'] }),
  ];
  const response = await fetch(`${hosts[0].url}/api/plans`, {
    method: 'POST',
    headers: { 'x-api-key': admin, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'chaos', steps }),
  });
  const plan = await response.json();
  if (response.status !== 201) throw new Error(JSON.stringify(plan));
  return plan.id;
}

/** One client: starts a run, repeats the request with its key until somebody answers, then waits for it. */
async function keepRunning(plan, admin, n) {
  for (let run = 0; isLoading; run++) {
    const idempotencyKey = `client-${n}-${run}`;
    let id = null;
    while (id === null) {
      id = await start(plan, admin, idempotencyKey);
      if (id === null) await delay(50);
    }
    accepted.add(id);
    while (isLoading && !(await isFinished(id))) await delay(50);
  }
}

async function start(plan, admin, idempotencyKey) {
  const host = hosts[Math.floor(random() * hosts.length)];
  try {
    const response = await fetch(`${host.url}/api/plans/${plan}/execute`, {
      method: 'POST',
      headers: {
        'x-api-key': admin,
        'content-type': 'application/json',
        'idempotency-key': idempotencyKey,
      },
      body: '{}',
      signal: AbortSignal.timeout(10_000),
    });
    const body = await response.json();
    return response.status === 202 || response.status === 200 ? body.id : null;
  } catch {
    return null; // the host is gone: the next one is asked with the same key
  }
}

async function isFinished(id) {
  const { rows } = await database.query('select finished_at from executions where id = $1', [id]);
  return rows[0]?.finished_at !== null && rows[0]?.finished_at !== undefined;
}

async function settle() {
  const deadline = performance.now() + SETTLE_MS;
  for (;;) {
    const { rows } = await database.query(
      'select count(*)::int as left from executions where finished_at is null',
    );
    if (rows[0].left === 0 || performance.now() > deadline) return;
    await delay(200);
  }
}

async function count() {
  const { rows } = await database.query(
    `select e.id, e.status, e.error->>'code' as code, e.finished_at is not null as finished from executions e`,
  );
  const byId = new Map(rows.map((row) => [row.id, row]));
  const lost = [...accepted].filter((id) => byId.get(id)?.finished !== true);
  const seen = [...provider.counts];
  const writes = seen.filter(([path]) => path.startsWith('/POST/'));
  const { rows: journal } = await database.query(
    `select count(*)::int as repeated from (
       select 1 from execution_logs where status = 'success'
        group by tenant_id, execution_id, step_id, iteration having count(*) > 1) twice`,
  );
  return {
    ...faults,
    accepted: accepted.size,
    stored: rows.length,
    finished: rows.filter(({ finished }) => finished).length,
    succeeded: rows.filter(({ status }) => status === 'success').length,
    outcome_unknown: rows.filter(({ code }) => code === 'outcome.unknown').length,
    other_errors: [
      ...new Set(rows.flatMap(({ code }) => (code && code !== 'outcome.unknown' ? [code] : []))),
    ],
    lost: lost.length,
    runs_without_request: rows.length - new Set([...accepted]).size,
    effects: writes.length,
    effects_repeated: writes.filter(([, times]) => times > 1).length,
    reads_repeated: seen.filter(([path, times]) => path.startsWith('/GET/') && times > 1).length,
    checkpoints_repeated: journal[0].repeated,
    takeovers: takeovers.length,
    takeover_median_s: seconds(takeovers.toSorted((a, b) => a - b)[takeovers.length >> 1]),
    takeover_longest_s: seconds(Math.max(0, ...takeovers)),
  };
}

function report(figures) {
  if (process.argv.includes('--json')) console.log(JSON.stringify(figures));
  else console.table(figures);
  const { lost, effects_repeated, checkpoints_repeated, accepted: all } = figures;
  if (all === 0 || lost + effects_repeated + checkpoints_repeated > 0) process.exitCode = 1;
}

function seconds(ms) {
  return ms === undefined ? null : Number((ms / 1_000).toFixed(2));
}

/** Takes its time, so that kills fall into the middle of requests, too. */
async function startProvider() {
  const counts = new Map();
  const server = createServer((request, response) => {
    counts.set(`${request.url}`, (counts.get(`${request.url}`) ?? 0) + 1);
    request.resume().on('end', () => {
      setTimeout(() => {
        response.writeHead(200, { 'content-type': 'application/json' }).end('{"ok":true}');
      }, random() * 60);
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  return {
    port,
    counts,
    url: `http://127.0.0.1:${port}`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function end(child, signal) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await ended;
}

function childrenOf(pid) {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === pid;
      } catch {
        return false; // it ended in the meantime
      }
    })
    .map(Number);
}

function tryKill(pid, signal) {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

/** mulberry32: the same seed gives the same strikes. */
function randomOf(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function option(name, fallback) {
  const at = process.argv.indexOf(`--${name}`);
  return at === -1 ? fallback : Number(process.argv[at + 1]);
}
