/**
 * `npm run bench:pool`: what a warm isolate gains over a fresh one, through the whole sandbox: latency of
 * calls one after another, and calls per second with two under way for each child. The ways take
 * turns, so that a busy machine is equally unfair to all. `--short` for the tests, `--json` for machines.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { launchPlain } from '../../dist/sandbox/isolate/child-launcher.js';
import { IsolateSandbox } from '../../dist/sandbox/isolate/isolate-sandbox.js';
import { usageReader } from '../../dist/sandbox/isolate/process-usage.js';
import { DEFAULT_LIMITS } from '../../dist/sandbox/sandbox.js';

const isShort = process.argv.includes('--short');
const ROUNDS = isShort ? 1 : 4;
const CALLS_PER_ROUND = isShort ? 40 : 250;
const WARM_UP = isShort ? 20 : 200;

const usage = usageReader();
const plugin = readPlugin('code');
const noHost = { http: () => Promise.reject(new Error('no network here')), log: () => undefined };
const { signal } = new AbortController();

const ways = [1, 2].flatMap((children) => [
  openWay('fresh isolate', 'third_party', children),
  openWay('fresh context in a warm isolate', 'own_code', children),
]);
try {
  for (const way of ways) await repeat(WARM_UP, way.children * 2, way.call);
  for (let round = 0; round < ROUNDS; round++) {
    for (const way of ways) await measureRound(way);
  }
  const rows = ways.map(report);
  if (process.argv.includes('--json')) {
    console.log(JSON.stringify({ calls: ROUNDS * CALLS_PER_ROUND, rows }, null, 2));
  } else {
    console.table(Object.fromEntries(rows.map(({ name, ...row }) => [name, row])));
  }
} finally {
  await Promise.all(ways.map(({ sandbox }) => sandbox.close()));
}

function openWay(name, trust, children) {
  const pids = [];
  const sandbox = new IsolateSandbox({
    maxChildren: children,
    spares: 0,
    recycle: { calls: Infinity },
    launcher: (command) => {
      const child = launchPlain(command);
      pids.push(child.pid);
      return child;
    },
  });
  const call = async () => {
    const result = await sandbox.run(stepCall(trust), noHost, signal);
    if (!result.success) throw new Error(`the step failed: ${JSON.stringify(result.error)}`);
  };
  return { name, children, sandbox, pids, call, times: [], tookMs: 0, cpuMs: 0, rssMb: 0 };
}

async function measureRound(way) {
  for (let i = 0; i < CALLS_PER_ROUND; i++) {
    const began = performance.now();
    await way.call();
    way.times.push(performance.now() - began);
  }
  const cpuBefore = (await used(way)).cpuMs;
  const began = performance.now();
  await repeat(CALLS_PER_ROUND, way.children * 2, way.call);
  way.tookMs += performance.now() - began;
  const { cpuMs, rssMb } = await used(way);
  way.cpuMs += cpuMs - cpuBefore;
  way.rssMb = Math.max(way.rssMb, rssMb);
}

function report({ name, children, times, tookMs, cpuMs, rssMb }) {
  const sorted = [...times].sort((a, b) => a - b);
  const quantile = (q) => round(sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]);
  const calls = ROUNDS * CALLS_PER_ROUND;
  return {
    name: `${name}, ${String(children)} ${children === 1 ? 'child' : 'children'}`,
    p50: quantile(0.5),
    p99: quantile(0.99),
    callsPerSecond: Math.round((calls / tookMs) * 1000),
    childCpuMsPerCall: round(cpuMs / calls),
    largestRssMb: Math.round(rssMb),
  };
}

async function repeat(calls, atOnce, call) {
  let left = calls;
  const work = async () => {
    while (left-- > 0) await call();
  };
  await Promise.all(Array.from({ length: atOnce }, work));
}

/** CPU time of all children so far, and the resident memory of the largest. */
async function used({ pids }) {
  const usages = await Promise.all(pids.map((pid) => usage.read(pid)));
  return {
    cpuMs: usages.reduce((sum, each) => sum + (each?.cpuMs ?? 0), 0),
    rssMb: Math.max(...usages.map((each) => (each?.rssBytes ?? 0) / 2 ** 20)),
  };
}

function stepCall(trust) {
  const { manifest, bundle } = plugin;
  return {
    id: 'bench',
    tenantId: 'bench',
    plugin: {
      id: manifest.id,
      version: manifest.version,
      digest: manifest.bundle.digest,
      tier: manifest.tier,
      trust,
    },
    action: manifest.actions[0],
    loadBundle: () => Promise.resolve(bundle),
    input: { source: 'return input + 1', input: 1 },
    credential: null,
    idempotencyKey: 'bench',
    limits: DEFAULT_LIMITS,
  };
}

function readPlugin(name) {
  const folder = join(import.meta.dirname, '..', '..', 'plugins', name, 'dist');
  return {
    manifest: JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')),
    bundle: readFileSync(join(folder, 'bundle.js'), 'utf8'),
  };
}

function round(ms) {
  return Number(ms.toFixed(3));
}
