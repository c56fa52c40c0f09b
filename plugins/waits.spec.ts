import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { stop } from 'esbuild';

import type { JsonValue } from '../src/common/json.js';
import { DeclarativeSandbox } from '../src/sandbox/declarative/declarative-sandbox.js';
import { DEFAULT_LIMITS } from '../src/sandbox/sandbox.js';
import { SchemaValidator } from '../src/sandbox/schema/schema-validator.js';
import { ProviderHarness } from './provider.harness.js';

const PLAN = '01920000-0000-7000-8000-000000000001';
const NOW = '2027-01-31T09:00:00.000Z';

/** What each is asked for, what that makes the engine wait for, and an output that it then gives. */
const WAITS: [string, JsonValue, JsonValue, JsonValue][] = [
  ['wait.delay', { seconds: 1.5 }, { kind: 'timer', seconds: 1.5 }, { resumed_at: NOW }],
  [
    'wait.until',
    { at: '2027-01-31T09:00:00+01:00' },
    { kind: 'timer', until: '2027-01-31T09:00:00+01:00' },
    { resumed_at: NOW },
  ],
  ['wait.callback', {}, { kind: 'callback' }, { payload: null, resumed_at: NOW }],
  [
    'wait.callback',
    { timeout_seconds: 60 },
    { kind: 'callback', timeoutSeconds: 60 },
    { payload: { a: [1] }, resumed_at: NOW },
  ],
  [
    'wait.approval',
    { message: 'Ship it?' },
    { kind: 'approval', message: 'Ship it?' },
    { approved: false, comment: null, resumed_at: NOW },
  ],
  [
    'wait.approval',
    { message: 'Ship it?', timeout_seconds: 31_536_000 },
    { kind: 'approval', message: 'Ship it?', timeoutSeconds: 31_536_000 },
    { approved: true, comment: 'Go', resumed_at: NOW },
  ],
  [
    'plan.run',
    { plan_id: PLAN, input: { n: 1 } },
    { kind: 'plan', planId: PLAN, input: { n: 1 } },
    { execution_id: PLAN, output: [1] },
  ],
  [
    'plan.run',
    { plan_id: PLAN },
    { kind: 'plan', planId: PLAN },
    { execution_id: PLAN, output: null },
  ],
];

describe('plugins that wait', () => {
  const schemas = new SchemaValidator();
  const plugins = new Map<string, ProviderHarness>();

  beforeAll(async () => {
    for (const id of ['wait', 'plan']) plugins.set(id, await ProviderHarness.pack(id, {}));
  });

  afterAll(async () => {
    await schemas.close();
    for (const plugin of plugins.values()) await plugin.close();
    await stop();
  });

  it.each(WAITS)('%s %j', async (name, input, request, output) => {
    const action = actionOf(name);
    expect(await faultsOf(`${name}/input`, action.input, input)).toEqual([]);
    const result = await new DeclarativeSandbox().run(
      {
        ...{ id: 'call', tenantId: 'tenant', action, input, limits: DEFAULT_LIMITS },
        plugin: { id: name, version: '1.0.0', digest: 'sha256-x', tier: 'declarative' },
        loadBundle: () => Promise.reject(new Error('data has no code to load')),
        ...{ credential: null, idempotencyKey: 'execution:step:0' },
      },
      { http: () => Promise.reject(new Error('a wait sends no request')), log: () => undefined },
      new AbortController().signal,
    );
    expect(result).toMatchObject({ success: true, error: null });
    expect(result.output).toEqual(request);
    expect(await faultsOf(`${name}/output`, action.output, output)).toEqual([]);
  });

  it.each<[string, JsonValue, string]>([
    ['wait.delay', {}, '/seconds'],
    ['wait.delay', { seconds: '60' }, '/seconds'],
    ['wait.delay', { seconds: -1 }, '/seconds'],
    ['wait.delay', { seconds: 31_536_001 }, '/seconds'],
    ['wait.delay', { seconds: 1, minutes: 2 }, '/minutes'],
    ['wait.until', { at: '2027-01-31' }, '/at'],
    ['wait.until', { at: '2027-01-31T09:00:00' }, '/at'],
    ['wait.callback', { timeout_seconds: 0 }, '/timeout_seconds'],
    ['wait.approval', {}, '/message'],
    ['wait.approval', { message: '' }, '/message'],
    ['wait.approval', { message: 'x'.repeat(2001) }, '/message'],
    ['plan.run', { plan_id: 'nightly' }, '/plan_id'],
  ])('%s refuses %j', async (name, input, pointer) => {
    const faults = await faultsOf(`${name}/input`, actionOf(name).input, input);
    expect([...new Set(faults)]).toEqual([pointer]);
  });

  function actionOf(name: string): ReturnType<ProviderHarness['action']> {
    const [plugin = '', action = ''] = name.split('.');
    const found = plugins.get(plugin);
    if (found === undefined) throw new Error(`the test packs no plugin "${plugin}"`);
    return found.action(action);
  }

  async function faultsOf(
    key: string,
    schema: ReturnType<ProviderHarness['action']>['input'],
    value: JsonValue,
  ): Promise<string[]> {
    const verdict = await schemas.validate({ key, schema, value, trusted: true });
    if (verdict.ok) return [];
    if (verdict.fault !== 'value_invalid') throw new Error(verdict.detail);
    return verdict.errors.map(({ pointer }) => pointer);
  }
});
