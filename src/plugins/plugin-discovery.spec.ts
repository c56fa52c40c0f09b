import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { fakePorts } from './intake/intake-ports.fake.js';
import { PluginDiscovery } from './plugin-discovery.js';

const ENTRY = `export default { describe: () => ({ id: 'greeter', actions: [
  { id: 'greet', form: 'code', input: {}, output: {}, effects: 'none', idempotency: 'none' },
] }) };`;

describe('names of packages', () => {
  let dir: string;

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'stepwell-discovery-'));
    await mkdir(join(dir, 'src'));
    await writeFile(join(dir, 'src/index.ts'), ENTRY);
  });

  afterEach(() => rm(dir, { recursive: true }));

  it("keeps the host's own scope for the host's own folder", async () => {
    await name('@stepwell/plugin-greeter');
    const discovery = new PluginDiscovery([dir], fakePorts());
    await expect(discovery.read({ path: dir, origin: 'operator' })).rejects.toMatchObject({
      code: 'plugin.package_refused',
      message: expect.stringMatching(/names in @stepwell\/ are for plugins that ship/),
    });
    const own = await discovery.read({ path: dir, origin: 'first_party' });
    expect(own.plugin.manifest.package).toBe('@stepwell/plugin-greeter');
  });

  it('leaves all other names to operators', async () => {
    await name('@stepwellness/greeter');
    const found = await new PluginDiscovery([dir], fakePorts()).read({
      path: dir,
      origin: 'operator',
    });
    expect(found.plugin.manifest.package).toBe('@stepwellness/greeter');
  });

  async function name(packageName: string): Promise<void> {
    const stepwell = {
      manifestVersion: 1,
      id: 'greeter',
      entry: './src/index.ts',
      engine: '>=1 <2',
    };
    const text = JSON.stringify({ name: packageName, version: '1.0.0', stepwell });
    await writeFile(join(dir, 'package.json'), text);
  }
});
