/**
 * `npm run bench`: how long one step takes, in the sandbox alone and as a durable execution over HTTP
 * on a host of its own, against a bare request to that host in the same run. Prints a table of
 * milliseconds; `--json` for machines, `--short` for the tests.
 */
import { createServer } from 'node:http';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { loadConfig } from '../../dist/config/config.js';
import { startHost } from '../../dist/host.js';
import { DeclarativeSandbox } from '../../dist/sandbox/declarative/declarative-sandbox.js';
import { IsolateSandbox } from '../../dist/sandbox/isolate/isolate-sandbox.js';
import { DEFAULT_LIMITS } from '../../dist/sandbox/sandbox.js';
import { TieredSandbox } from '../../dist/sandbox/tiered-sandbox.js';

const isShort = process.argv.includes('--short');
const CALLS = isShort ? 50 : 1_000;
const WARM_UP = isShort ? 10 : 100;

const isolates = new IsolateSandbox({ maxChildren: 2 });
const sandbox = new TieredSandbox({ declarative: new DeclarativeSandbox(), isolate: isolates });
const home = mkdtempSync(join(tmpdir(), 'stepwell-bench-'));
const service = await startService();
const host = await startHost(
  loadConfig({
    STEPWELL_HOME: join(home, 'home'),
    PORT: '0',
    STEPWELL_EGRESS_ALLOW: new URL(service.url).host,
  }),
);
const key = readFileSync(join(home, 'home', 'admin.key'), 'utf8').trim();

try {
  await send('POST', '/api/provider-credentials/webhook', {
    credentials: { secret: 'a signing secret of the bench', endpoint: service.url },
  });
  const rows = [
    await measure('bare request (GET /api/health/live)', async () => {
      await send('GET', '/api/health/live');
    }),
    await measure(
      'declarative step, sandbox alone',
      inSandbox('logic', 'transform', { template: 'x' }),
    ),
    await measure(
      'isolate step, sandbox alone',
      inSandbox('code', 'javascript', { source: 'return 1' }),
    ),
    await measure(
      'declarative step, durable, over HTTP',
      overHttp('logic', 'transform', { template: 'x' }),
    ),
    await measure(
      'isolate step, durable, over HTTP',
      overHttp('code', 'javascript', { source: 'return 1' }),
    ),
    await measure(
      'isolate step with a request, durable, over HTTP',
      overHttp('webhook', 'post', { url: service.url, body: {} }, { credential: null }),
    ),
    await measure(
      'the same, signed with a stored credential',
      overHttp('webhook', 'post', { url: service.url, body: {} }),
    ),
  ];
  if (process.argv.includes('--json')) console.log(JSON.stringify({ calls: CALLS, rows }, null, 2));
  else console.table(Object.fromEntries(rows.map(({ name, ...row }) => [name, row])));
} finally {
  await host.close();
  await isolates.close();
  service.close();
  rmSync(home, { recursive: true, force: true });
}

/** Sequential calls: p50 and p99 in milliseconds. */
async function measure(name, call) {
  const times = [];
  for (let i = 0; i < WARM_UP + CALLS; i++) {
    const begin = performance.now();
    await call();
    if (i >= WARM_UP) times.push(performance.now() - begin);
  }
  times.sort((a, b) => a - b);
  const quantile = (q) =>
    Number(times[Math.min(times.length - 1, Math.floor(q * times.length))].toFixed(3));
  return { name, p50: quantile(0.5), p99: quantile(0.99) };
}

function overHttp(provider, action, params, more = {}) {
  return async () => {
    const step = { provider, action, params, ...more };
    const result = await send('POST', '/api/execute-step', { step });
    if (!result.success) throw new Error(`the step failed: ${JSON.stringify(result.error)}`);
  };
}

function inSandbox(provider, actionId, input) {
  const folder = join(import.meta.dirname, '..', '..', 'plugins', provider, 'dist');
  const manifest = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8'));
  const bundle = readFileSync(join(folder, 'bundle.js'), 'utf8');
  const call = {
    id: 'bench',
    tenantId: 'bench',
    plugin: {
      id: provider,
      version: manifest.version,
      digest: manifest.bundle.digest,
      tier: manifest.tier,
    },
    action: manifest.actions.find(({ id }) => id === actionId),
    loadBundle: () => Promise.resolve(bundle),
    input,
    credential: null,
    idempotencyKey: 'bench',
    limits: DEFAULT_LIMITS,
  };
  const noHost = { http: () => Promise.reject(new Error('no network here')), log: () => undefined };
  const signal = new AbortController().signal;
  return async () => {
    const result = await sandbox.run(call, noHost, signal);
    if (!result.success) throw new Error(`the step failed: ${JSON.stringify(result.error)}`);
  };
}

/** Answers at once, on loopback. */
async function startService() {
  const server = createServer((request, response) => {
    request.resume().on('end', () => response.end());
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${String(server.address().port)}/`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function send(method, path, body) {
  const response = await fetch(host.url + path, {
    method,
    headers: { 'x-api-key': key, 'content-type': 'application/json' },
    body: body === undefined ? null : JSON.stringify(body),
  });
  return await response.json();
}
