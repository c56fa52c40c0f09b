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
    ['http', 'isolate', { request: 'code' }],
  ])('%s packs as tier %s', async (id, tier, forms) => {
    const { manifest } = await pack(id);
    expect([manifest.id, manifest.tier]).toEqual([id, tier]);
    const actual = manifest.actions.map((action) => [action.id, action.form]);
    expect(Object.fromEntries(actual)).toEqual(forms);
    // Loaded anew for every call: growth here is paid a million times.
    expect(manifest.bundle.bytes).toBeLessThan(32 * 1024);
  });

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
