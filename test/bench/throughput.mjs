/**
 * `npm run bench`: what the store of runs takes on, on a PostgreSQL of its own with durable commits:
 * new runs, and whole runs of three durable steps (four writes each). The committer against one
 * transaction for each write, in the same run; medians over repetitions. Then, at a steady rate of new
 * runs that doesn't wait for answers, how long one takes to be stored.
 * `--json` for machines, `--short` for the tests, `--lanes=1,2,3` to compare numbers of lanes.
 */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import pg from 'pg';
import { DataSource } from 'typeorm';

import { startEmbeddedPostgres } from '../../dist/database/embedded-postgres.js';
import { prepareDatabase } from '../../dist/database/prepare-database.js';
import { CommitterLimits } from '../../dist/execution/committer.js';
import { PgRunStore } from '../../dist/execution/pg-run-store.js';
import { SingleWrites } from './single-writes.mjs';

const isShort = process.argv.includes('--short');
const SECONDS = isShort ? 0.3 : 5;
const REPETITIONS = isShort ? 1 : 3;
const INPUT = { value: { greeting: 'hello', items: [1, 2, 3] } };
const RESULT = {
  success: true,
  output: INPUT.value,
  message: 'done',
  metadata: { attempts: 1, latency_ms: 1, provider: 'logic', action: 'transform' },
  error: null,
};
const DEFINITION = {
  steps: ['one', 'two', 'three'].map((id) => ({
    id,
    provider: 'logic',
    action: 'transform',
    params: INPUT,
  })),
  pins: {},
};
/** As many writes are under way at a time. */
const CALLERS = 400;
const POOL_SIZE = 20;
const STEADY_PER_SECOND = isShort ? 100 : 500;

const lanes = process.argv.find((arg) => arg.startsWith('--lanes='))?.slice('--lanes='.length);
const variants = [
  { name: 'one transaction per write', limits: null },
  ...(lanes ?? String(new CommitterLimits().lanes)).split(',').map((count) => ({
    name: `committer, lanes: ${count}`,
    limits: { lanes: Number(count) },
  })),
];

const directory = mkdtempSync(join(tmpdir(), 'stepwell-bench-'));
const server = await startEmbeddedPostgres({ directory, database: 'stepwell' });
const tenant = { id: randomUUID(), userId: randomUUID() };
const host = randomUUID();
let source;
try {
  const rootKey = Buffer.alloc(32, 7);
  const adminUrl = server.url;
  const rolePrefix = 'stepwell_';
  const url = await prepareDatabase({ adminUrl, appUrl: null, rolePrefix, rootKey });
  await prepareTables(adminUrl);
  source = new DataSource({ type: 'postgres', url, poolSize: POOL_SIZE });
  await source.initialize();

  const rows = variants.map(({ name }) => ({ name, measured: [] }));
  for (let repetition = 0; repetition < REPETITIONS; repetition++) {
    // In turns, so that a busy machine treats them alike.
    for (const [index, { limits }] of variants.entries()) {
      const accepted = await measureThroughput(limits, accept);
      const runs = await measureThroughput(limits, runThreeSteps);
      rows[index].measured.push({
        accepted_per_s: accepted.perSecond,
        runs_per_s: runs.perSecond,
        flushes_per_s: runs.flushesPerSecond,
        writes_per_flush: (4 * runs.perSecond) / runs.flushesPerSecond,
        ...(await measureLatency(limits)),
      });
    }
  }
  print(rows.map(({ name, measured }) => ({ name, ...medians(measured) })));
} finally {
  await source?.destroy();
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
}

function openStore(limits) {
  const counted = { flushes: 0 };
  if (limits === null) return { store: new SingleWrites(source, counted), counted };
  const database = {
    query: async (sql, params) => {
      counted.flushes++;
      return await source.query(sql, params);
    },
  };
  return { store: new PgRunStore(database, { ...new CommitterLimits(), ...limits }), counted };
}

/** Callers that each begin anew as soon as they are answered; what they have done counts in parts. */
async function measureThroughput(limits, work) {
  const { store, counted } = openStore(limits);
  let done = 0;
  let isOver = false;
  const call = async () => {
    while (!isOver) {
      await work(store, (part) => {
        if (!isOver) done += part;
      });
    }
  };
  const begin = performance.now();
  const callers = Promise.all(Array.from({ length: CALLERS }, call));
  // One that fails ends the bench at once, and with it the server.
  await Promise.race([callers, new Promise((resolve) => setTimeout(resolve, SECONDS * 1_000))]);
  isOver = true;
  const seconds = (performance.now() - begin) / 1_000;
  const { flushes } = counted;
  await callers;
  return { perSecond: done / seconds, flushesPerSecond: flushes / seconds };
}

/** New runs at a steady rate, whatever the answers take (an open loop). */
async function measureLatency(limits) {
  const { store } = openStore(limits);
  const total = Math.ceil(STEADY_PER_SECOND * SECONDS);
  const times = [];
  const under = [];
  const failures = [];
  const begin = performance.now();
  for (let i = 0; i < total;) {
    const due = Math.min(total, ((performance.now() - begin) / 1_000) * STEADY_PER_SECOND);
    for (; i < due; i++) {
      const planned = begin + (i / STEADY_PER_SECOND) * 1_000;
      const took = () => times.push(performance.now() - planned);
      under.push(accept(store).then(took, (error) => failures.push(error)));
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(under);
  if (failures.length > 0) throw failures[0];
  times.sort((a, b) => a - b);
  const quantile = (q) => times[Math.min(times.length - 1, Math.floor(q * times.length))];
  return { accept_p50_ms: quantile(0.5), accept_p99_ms: quantile(0.99) };
}

async function accept(store, count = () => undefined) {
  const accepted = await store.accept({
    id: randomUUID(),
    tenantId: tenant.id,
    tenantName: 'bench',
    ownerId: tenant.userId,
    planId: null,
    planVersion: null,
    definition: DEFINITION,
    visibility: 'private',
    trigger: 'manual',
    input: { name: 'bench' },
    idempotency: { key: randomUUID(), requestHash: 'bench' },
    hostId: host,
    originId: null,
    journal: [],
  });
  count(1);
  return accepted.run;
}

/** Four durable writes; each step takes up to ten milliseconds. */
async function runThreeSteps(store, count) {
  const { lease } = await accept(store, () => count(1 / 4));
  for (const stepId of ['one', 'two']) {
    await work();
    await store.checkpoint(lease, [entry(stepId)]);
    count(1 / 4);
  }
  await work();
  await store.finish(lease, [entry('three')], { status: 'success', output: RESULT.output });
  count(1 / 4);
}

async function work() {
  await new Promise((resolve) => setTimeout(resolve, Math.random() * 10));
}

function entry(stepId) {
  const now = new Date();
  const head = { stepId, iteration: 0, provider: 'logic', action: 'transform', version: '1.0.0' };
  const times = { startedAt: now, finishedAt: now, latencyMs: 1 };
  return { ...head, ...times, attempt: 1, status: 'success', input: INPUT, result: RESULT };
}

async function prepareTables(adminUrl) {
  const admin = new pg.Client({ connectionString: adminUrl });
  await admin.connect();
  await admin.query(`insert into tenants (id, name) values ($1, 'bench')`, [tenant.id]);
  await admin.query(
    `insert into users (tenant_id, id, external_id, name, role) values ($1, $2, 'u', 'u', 'user')`,
    [tenant.id, tenant.userId],
  );
  // Single writes go as the app role, which has no right to write runs by itself.
  await admin.query('grant insert, update on executions, execution_logs to stepwell_app');
  const { rows } = await admin.query('show fsync');
  if (rows[0].fsync !== 'on') throw new Error('the bench needs durable commits: fsync is off');
  await admin.end();
}

function medians(measured) {
  const names = Object.keys(measured[0]);
  return Object.fromEntries(
    names.map((name) => {
      const values = measured.map((one) => one[name]).sort((a, b) => a - b);
      return [name, Number(values[Math.floor(values.length / 2)].toFixed(1))];
    }),
  );
}

function print(rows) {
  const [single] = rows;
  const ratios = rows.slice(1).map((row) => ({
    name: row.name,
    accepted: Number((row.accepted_per_s / single.accepted_per_s).toFixed(2)),
    runs: Number((row.runs_per_s / single.runs_per_s).toFixed(2)),
  }));
  if (process.argv.includes('--json')) {
    console.log(
      JSON.stringify({ seconds: SECONDS, repetitions: REPETITIONS, rows, ratios }, null, 2),
    );
    return;
  }
  const table = (list) =>
    console.table(Object.fromEntries(list.map(({ name, ...row }) => [name, row])));
  table(rows);
  console.log(`times as many as with ${single.name}:`);
  table(ratios);
}
