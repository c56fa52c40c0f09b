import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { json, startCountingServer, type CountingServer } from '../support/counting-server.js';
import { startTestHost, type TestHost } from '../support/test-host.js';
import { cloneDatabase } from '../support/test-database.js';

const ROOT = join(import.meta.dirname, '..', '..');
const FIXTURES = join(ROOT, 'test', 'fixtures', 'plugins');

describe('plugins of outsiders', () => {
  let host: TestHost;
  let service: CountingServer;
  let keyB: string;

  beforeAll(async () => {
    service = await startCountingServer(({ url }, response) => {
      if (url.startsWith('/forecast'))
        json(response, 200, [
          { date: '2026-11-20', celsius: 4 },
          { date: '2026-11-21', celsius: 8 },
        ]);
      else json(response, 200, { celsius: 7 });
    });
    host = await startTestHost({
      plugins: ['weather', 'hostile', 'mismatched'].map((name) => join(FIXTURES, name)),
      env: { STEPWELL_EGRESS_ALLOW: `127.0.0.1:${String(service.port)}` },
    });
    keyB = (await host.createTenant('b')).api_key;
  });

  afterAll(async () => {
    await host.close();
    await service.close();
  });

  const step = async (action: string, params: object = {}, key?: string, provider = 'hostile') =>
    await host.send({
      method: 'POST',
      path: '/api/execute-step',
      body: { step: { provider, action, params, retry: { max_attempts: 1 } } },
      ...(key === undefined ? {} : { key }),
    });

  it('run code and data actions', async () => {
    const place = { base_url: service.url, city: 'Cairo' };
    const forecast = await step('forecast', place, undefined, 'weather');
    expect(forecast.body).toMatchObject({
      success: true,
      output: { city: 'Cairo', mean_celsius: 6 },
      metadata: { logs: [{ level: 'info', message: expect.stringContaining('forecast read') }] },
    });
    expect(service.seen.at(-1)?.url).toBe('/forecast?city=Cairo&days=3'); // the default of the schema
    const current = await step('current', place, undefined, 'weather');
    expect(current.body).toMatchObject({ success: true, output: { city: 'Cairo', celsius: 7 } });
    const wrong = await step('forecast', { ...place, days: 99 }, undefined, 'weather');
    expect(wrong.body).toMatchObject({ success: false, error: { code: 'input.invalid' } });
  });

  it.each([
    ['loop', 'plugin.cpu_exceeded'],
    ['microtasks', 'plugin.cpu_exceeded'],
    ['memory', /plugin\.(out_of_memory|cpu_exceeded)/],
    ['crash', /plugin\.(out_of_memory|crashed|cpu_exceeded)/],
    ['never', 'plugin.never_settled'],
    ['undeclared_host', 'egress.denied'],
  ])('end as a clear error when they do: %s, while others go on', async (action, code) => {
    const hostile = step(action);
    const healthy = Array.from({ length: 3 }, async () => {
      const { body } = await step('transform', { value: 1 }, keyB, 'logic');
      return body.output as unknown;
    });
    const { status, body } = await hostile;
    expect(status).toBe(200);
    expect(body.success).toBe(false);
    expect(body.error.code).toEqual(code instanceof RegExp ? expect.stringMatching(code) : code);
    expect(body.error.message.length).toBeGreaterThan(10);
    expect(await Promise.all(healthy)).toEqual([1, 1, 1]);
    expect(
      (await step('forecast', { base_url: service.url, city: 'x' }, undefined, 'weather')).body
        .success,
    ).toBe(true);
    expect((await host.send({ path: '/api/health/ready', key: null })).status).toBe(200);
  });

  it('leave nothing for the next call', async () => {
    expect((await step('pollute')).body.output).toEqual({ before: false });
    expect((await step('pollute')).body.output).toEqual({ before: false });
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  it.each([
    ['auth', 'provider.auth_failed', false],
    ['rate', 'provider.rate_limited', true],
    ['retryable', 'provider.unavailable', true],
    ['permanent', 'provider.rejected', false],
    ['input', 'input.invalid', false],
    ['large', 'provider.too_large', false],
    ['plain', 'plugin.threw', false],
  ])('throw typed errors: %s', async (kind, code, retryable) => {
    expect((await step('throw_typed', { kind })).body.error).toMatchObject({ code, retryable });
  });

  it("can't forge an error of the host's", async () => {
    const { error } = (await step('throw_typed', { kind: 'forged' })).body;
    expect(error.code).toMatch(/^plugin\./);
  });

  it('are quarantined with the reason when their manifest lies, and the host stays up', async () => {
    const health = await host.send({ path: '/api/health', key: null });
    expect(health).toMatchObject({ status: 200, body: { status: 'degraded' } });
    expect(health.body.reasons.join()).toMatch(
      /mismatched is quarantined: .*isn't what its bundle says/,
    );
    const { providers } = (await host.send({ path: '/api/providers' })).body;
    expect(providers).toEqual(expect.arrayContaining(['code', 'hostile', 'logic', 'weather']));
    expect(providers).not.toContain('mismatched');
    expect(providers).toEqual([...providers].sort());
  });

  it('are off for a tenant until it enables them, and off again at once', async () => {
    const { providers } = (await host.send({ path: '/api/providers', key: keyB })).body;
    expect(providers).toEqual(expect.arrayContaining(['code', 'http', 'logic']));
    expect(providers).not.toContain('weather');
    expect(providers).not.toContain('hostile');
    expect((await host.send({ path: '/api/providers/weather', key: keyB })).status).toBe(404);
    const place = { base_url: service.url, city: 'Cairo' };
    const off = await step('current', place, keyB, 'weather');
    expect(off.body.error.details.errors[0].detail).toMatch(/not enabled for this tenant/);

    const put = async (enabled: boolean) =>
      await host.send({
        method: 'PUT',
        path: '/api/plugins/weather',
        key: keyB,
        body: { enabled },
      });
    expect(await put(true)).toMatchObject({ status: 200, body: { id: 'weather', enabled: true } });
    expect((await step('current', place, keyB, 'weather')).body.success).toBe(true);
    const plan = await host.send({
      method: 'POST',
      path: '/api/plans',
      key: keyB,
      body: { name: 'w', steps: [{ provider: 'weather', action: 'current', params: place }] },
    });
    await put(false);
    const run = await host.send({
      method: 'POST',
      path: `/api/plans/${String(plan.body.id)}/execute`,
      key: keyB,
      body: { wait: 10 },
    });
    expect(run.body.error).toMatchObject({ code: 'plugin.not_enabled' });
    expect(
      (
        await host.send({
          method: 'PUT',
          path: '/api/plugins/nope',
          key: keyB,
          body: { enabled: true },
        })
      ).status,
    ).toBe(404);
  });

  it('show their actions with schemas', async () => {
    const action = await host.send({ path: '/api/providers/weather/actions/forecast' });
    expect(action.body).toMatchObject({
      id: 'forecast',
      effects: 'read',
      input: { type: 'object', required: expect.arrayContaining(['city']) },
    });
    expect((await host.send({ path: '/api/providers/weather/actions/nope' })).status).toBe(404);
    const full = await host.send({ path: '/api/providers?detail=full' });
    const logic = full.body.providers.find((p: { name: string }) => p.name === 'logic');
    expect(logic).toMatchObject({
      version: '1.0.0',
      digest: expect.stringMatching(/^sha256-/),
      credentials: [],
    });
    for (const each of logic.actions) expect(each.credential).toBeNull();
  });

  it('show the types of their credentials, and not where secrets are placed', async () => {
    const { body } = await host.send({ path: '/api/providers?detail=full' });
    const openai = body.providers.find((p: { name: string }) => p.name === 'openai');
    expect(openai.credentials).not.toEqual([]);
    for (const { credentials, actions } of body.providers) {
      for (const type of credentials) {
        expect(Object.keys(type).sort()).toEqual(['fields', 'hosts', 'id', 'kind', 'title']);
      }
      const ids = credentials.map(({ id }: { id: string }) => id);
      for (const { credential } of actions) {
        if (credential !== null) expect(ids).toContain(credential);
      }
    }
    expect(JSON.stringify(body)).not.toContain('{{secret.');
  });
});

describe('a plugin that says it is one of ours', () => {
  it('is quarantined: what an operator lists never becomes first-party', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'stepwell-plugin-'));
    const write = (name: string): string => {
      const dir = join(folder, name.replace('/', '-'));
      mkdirSync(dir);
      symlinkSync(join(ROOT, 'node_modules'), join(dir, 'node_modules'));
      const stepwell = { manifestVersion: 1, id: 'http', entry: './index.js', engine: '>=1 <2' };
      writeFileSync(
        join(dir, 'package.json'),
        JSON.stringify({ name, version: '9.9.9', type: 'module', stepwell }),
      );
      writeFileSync(
        join(dir, 'index.js'),
        `import { defineAction, definePlugin } from '@stepwell/plugin-sdk';
         export default definePlugin({ id: 'http', actions: [defineAction({
           id: 'request', effects: 'none', input: { type: 'object' }, output: {}, run: () => 'stolen' })] });`,
      );
      return dir;
    };
    const host = await startTestHost({
      plugins: [write('@stepwell/plugin-http'), write('impostor')],
    });
    try {
      const { body } = await host.send({ path: '/api/providers/http' });
      expect(body).toMatchObject({
        version: '1.0.0',
        versions: ['1.0.0'],
        package: '@stepwell/plugin-http',
      });
      const health = await host.send({ path: '/api/health', key: null });
      const reasons = health.body.reasons as string[];
      expect(reasons.filter((reason) => reason.includes('is quarantined'))).toHaveLength(2);
    } finally {
      await host.close();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe('a rebuilt plugin', () => {
  it('is current for new saves, while saved plans run what they pinned; another package keeps off its id', async () => {
    const database = await cloneDatabase();
    const folder = mkdtempSync(join(tmpdir(), 'stepwell-plugin-'));
    const dir = join(folder, 'greeter');
    const write = (greeting: string, name = 'greeter'): void => {
      cpSync(join(FIXTURES, 'weather', 'package.json'), join(dir, 'package.json'), {
        recursive: true,
      });
      const pkg = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8'));
      Object.assign(pkg, {
        name,
        stepwell: { manifestVersion: 1, id: 'greeter', entry: './index.js', engine: '>=1 <2' },
      });
      writeFileSync(join(dir, 'package.json'), JSON.stringify(pkg));
      writeFileSync(
        join(dir, 'index.js'),
        `import { defineAction, definePlugin } from '@stepwell/plugin-sdk';
         export default definePlugin({ id: 'greeter', actions: [defineAction({
           id: 'greet', effects: 'none', input: { type: 'object' }, output: {}, run: () => '${greeting}' })] });`,
      );
    };
    const withHost = async <T>(work: (host: TestHost) => Promise<T>): Promise<T> => {
      const host = await startTestHost({ database, plugins: [dir] });
      try {
        return await work(host);
      } finally {
        await host.close();
      }
    };
    try {
      symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
      write('one');
      let key = '';
      const plan = await withHost(async (host) => {
        key = host.operatorKey;
        const steps = [{ provider: 'greeter', action: 'greet', params: {} }];
        return (await host.send({ method: 'POST', path: '/api/plans', body: { name: 'g', steps } }))
          .body;
      });
      const greet = async (host: TestHost): Promise<unknown[]> => {
        const old = await host.send({
          method: 'POST',
          path: `/api/plans/${String(plan.id)}/execute`,
          key,
          body: { wait: 10 },
        });
        const fresh = await host.send({
          method: 'POST',
          path: '/api/execute-step',
          key,
          body: { step: { provider: 'greeter', action: 'greet', params: {} } },
        });
        return [old.body.output, fresh.body.output];
      };
      write('two');
      expect(await withHost(greet)).toEqual(['one', 'two']);
      write('three', 'squatter');
      await withHost(async (host) => {
        expect(await greet(host)).toEqual(['one', 'two']);
        const health = await host.send({ path: '/api/health', key: null });
        expect(health.body.reasons.join()).toMatch(
          /plugin\.id_taken: the id "greeter" belongs to the package greeter/,
        );
      });
    } finally {
      rmSync(folder, { recursive: true, force: true });
      await database.drop();
    }
  });
});
