import { join } from 'node:path';

import { DeclarativeSandbox } from '../../../dist/sandbox/declarative/declarative-sandbox.js';
import { IsolateSandbox } from '../../../dist/sandbox/isolate/isolate-sandbox.js';
import { TieredSandbox } from '../../../dist/sandbox/tiered-sandbox.js';
import { complainOf } from '../measure.mjs';
import { Forked } from '../processes/forked.mjs';
import { callOf } from '../sandbox/sandbox-calls.mjs';
import { quantilesOf, spreadOf } from '../statistics.mjs';

/** A step from the core of it outwards: a bare isolate, through the sandbox, durable over HTTP. One after another. */
export async function measure(bench) {
  return [
    ...(await measureBare(bench)),
    ...(await measureAlone(bench)),
    ...(await measureOverHttp(bench)),
  ].map(([name, { p50, p99 }]) => ({ name, figures: spreadOf([{ p50_ms: p50, p99_ms: p99 }]) }));
}

async function measureBare({ options }) {
  const path = join(import.meta.dirname, '..', 'sandbox', 'bare-isolate-process.mjs');
  const bare = new Forked(path, { execArgv: ['--no-node-snapshot'] });
  try {
    const calls = options.sandboxCalls;
    const { isolate, context } = await bare.ask({ calls, warmUp: warmUpOf(options) });
    return [
      ['bare isolated-vm, fresh isolate', isolate],
      ['bare isolated-vm, fresh context', context],
    ];
  } finally {
    await bare.close();
  }
}

async function measureAlone({ options }) {
  const isolates = new IsolateSandbox({ maxChildren: 2 });
  const sandbox = new TieredSandbox({ declarative: new DeclarativeSandbox(), isolate: isolates });
  const code = { provider: 'code', action: 'javascript', input: { source: 'return 1' } };
  const data = { provider: 'logic', action: 'transform', input: { template: 'x' } };
  const calls = {
    'sandbox alone, code, fresh isolate': { ...code, trust: 'third_party' },
    'sandbox alone, code, fresh context': { ...code, trust: 'own_code' },
    'sandbox alone, data': { ...data, trust: 'operator' },
  };
  try {
    const rows = [];
    for (const [name, call] of Object.entries(calls)) {
      rows.push([name, await timesOf(options, callOf(sandbox, call))]);
    }
    return rows;
  } finally {
    await isolates.close();
  }
}

async function measureOverHttp(bench) {
  const host = await bench.host();
  const { url } = bench.target;
  const step = (provider, action, params) => ({
    path: '/api/execute-step',
    headers: { 'x-api-key': host.api.key },
    body: JSON.stringify({ step: { provider, action, params } }),
    expects: { status: 200, includes: '"success":true' },
  });
  const live = { method: 'GET', path: '/api/health/live', expects: { status: 200 } };
  const rows = [];
  for (const [name, request] of [
    ['a bare request to the host (GET /api/health/live)', live],
    ['durable over HTTP, data', step('logic', 'transform', { template: 'x' })],
    ['durable over HTTP, code', step('code', 'javascript', { source: 'return 1' })],
    ['durable over HTTP, a request', step('http', 'request', { url: `${url}/n/1` })],
  ]) {
    const job = { url: host.url, requests: [request], connections: 1 };
    await bench.load.run({ ...job, count: warmUpOf(bench.options) });
    const result = await bench.load.run({ ...job, count: bench.options.sandboxCalls });
    complainOf(result);
    rows.push([name, result]);
  }
  return rows;
}

async function timesOf(options, call) {
  const times = [];
  const warmUp = warmUpOf(options);
  for (let n = 0; n < warmUp + options.sandboxCalls; n++) {
    const begin = performance.now();
    await call();
    if (n >= warmUp) times.push(performance.now() - begin);
  }
  return quantilesOf(times);
}

function warmUpOf({ sandboxCalls }) {
  return Math.ceil(sandboxCalls / 10);
}
