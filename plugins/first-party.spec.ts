import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { stop } from 'esbuild';

import { fakePorts } from '../src/plugins/intake/intake-ports.fake.js';
import { packPlugin } from '../src/plugins/intake/pack-plugin.js';
import type { PackedPlugin } from '../src/plugins/intake/pack-plugin.js';
import { readPackage } from '../src/plugins/intake/read-package.js';
import { verifyPlugin } from '../src/plugins/intake/verify-plugin.js';

const pack = (path: string): Promise<PackedPlugin> => packPlugin(folder(path), fakePorts());

afterAll(() => stop());

describe('plugins of this repository', () => {
  it.each([
    ['logic', 'declarative', { transform: 'value', set: 'value' }],
    ['code', 'isolate', { javascript: 'code' }],
    ['http', 'declarative', { request: 'http' }],
    ['openai', 'declarative', { chat_completion: 'http', embeddings: 'http' }],
    [
      'slack',
      'declarative',
      {
        send_message: 'http',
        update_message: 'http',
        delete_message: 'http',
        add_reaction: 'http',
        list_channels: 'http',
        lookup_user_by_email: 'http',
      },
    ],
    ['webhook', 'isolate', { post: 'code' }],
    ['wait', 'declarative', { delay: 'wait', until: 'wait', callback: 'wait', approval: 'wait' }],
    ['plan', 'declarative', { run: 'wait' }],
  ])('%s packs as tier %s', async (id, tier, forms) => {
    const { manifest } = await pack(id);
    expect([manifest.id, manifest.tier]).toEqual([id, tier]);
    const actual = manifest.actions.map((action) => [action.id, action.form]);
    expect(Object.fromEntries(actual)).toEqual(forms);
    // Loaded anew for every call: growth here is paid a million times.
    const maxKiB = manifest.credentials === undefined ? 32 : 48;
    expect(manifest.bundle.bytes).toBeLessThan(maxKiB * 1024);
  });

  it.each([
    [
      'openai',
      'openai',
      ['api_key'],
      ['base_url'],
      ['api.openai.com', { fromCredential: 'base_url' }],
    ],
    ['slack', 'slack', ['bot_token'], ['base_url'], ['slack.com', { fromCredential: 'base_url' }]],
    ['webhook', 'webhook', ['secret'], ['endpoint'], ['*']],
  ])(
    '%s has a credential whose secrets are placed by egress alone',
    async (id, type, secret, open, hosts) => {
      const { manifest } = await pack(id);
      const [credential, ...others] = manifest.credentials ?? [];
      expect([credential?.id, others]).toEqual([type, []]);
      const names = (isSecret: boolean): string[] | undefined =>
        credential?.fields.filter((field) => field.secret === isSecret).map(({ name }) => name);
      expect([names(true), names(false)]).toEqual([secret, open]);
      expect(manifest.permissions.hosts).toEqual(hosts);
      expect(manifest.actions.every((action) => action.credential === type)).toBe(true);
      expect(JSON.stringify(manifest.actions)).not.toMatch(/\bsecret\./);
    },
  );

  it('lets http decide by method what it does, and code by nothing', async () => {
    const [http, code] = [await pack('http'), await pack('code')];
    expect(http.manifest.actions[0]).toMatchObject({
      generic: true,
      effects: { byMethod: '/method' },
    });
    expect(code.manifest.actions[0]).toMatchObject({
      generic: true,
      effects: 'write',
      idempotency: 'none',
    });
  });
});

describe('fixtures', () => {
  let weather: PackedPlugin;

  beforeAll(async () => {
    weather = await pack('../test/fixtures/plugins/weather');
  });

  it('describes zod schemas and templates', () => {
    expect(weather.manifest.actions.map(({ id, form }) => [id, form])).toEqual([
      ['forecast', 'code'],
      ['current', 'http'],
    ]);
    expect(weather.manifest.actions[0]?.input).toMatchObject({ required: ['base_url', 'city'] });
  });

  it('packs the hostile one: packing proves no one harmless', async () => {
    const { manifest } = await pack('../test/fixtures/plugins/hostile');
    expect(manifest.actions.map(({ id }) => id)).toContain('crash');
  });

  it('describes the vaulted one with a credential of each kind', async () => {
    const plugin = await pack('../test/fixtures/plugins/vaulted');
    expect(plugin.manifest.credentials?.map(({ id, kind }) => [id, kind])).toEqual([
      ['vaulted', 'api_key'],
      ['vaulted_basic', 'basic'],
      ['vaulted_query', 'custom'],
      ['vaulted_bearer', 'bearer'],
    ]);
    await verifyPlugin(plugin, fakePorts());
    // What an admin approves is what runs: a credential that goes elsewhere is a lie, too.
    const lie = structuredClone(plugin);
    lie.manifest.credentials?.at(1)?.hosts.push('localhost');
    await expect(verifyPlugin(lie, fakePorts())).rejects.toMatchObject({
      code: 'plugin.manifest_mismatch',
      problems: [{ pointer: '/credentials/1/hosts' }],
    });
  });

  it('finds the lie of the mismatched one only by asking the bundle', async () => {
    const plugin = await readPackage(folder('../test/fixtures/plugins/mismatched'));
    await expect(verifyPlugin(plugin, fakePorts())).rejects.toMatchObject({
      code: 'plugin.manifest_mismatch',
      problems: [{ pointer: '/actions/0/effects' }, { pointer: '/contracts/pay' }],
    });
  });
});

function folder(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url));
}
