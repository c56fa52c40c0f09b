import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from '@jest/globals';

import { makeHome, removeHome, ROOT, startHostProcess } from '../support/host-process.js';

/** As an outsider does it: write, pack, hand the archive to an operator. */
describe('a plugin of an outsider', () => {
  const home = makeHome();

  afterAll(async () => {
    await removeHome(home);
  });

  it('is packed with the SDK, proven in the isolate, and runs on a host', async () => {
    const workshop = join(home, '..', 'workshop');
    mkdirSync(workshop, { recursive: true });
    cpSync(join(ROOT, 'test', 'fixtures', 'plugins', 'hostile'), join(workshop, 'hostile'), {
      recursive: true,
    });
    symlinkSync(join(ROOT, 'node_modules'), join(workshop, 'node_modules'));
    const cli = join(ROOT, 'plugin-sdk', 'bin', 'stepwell-plugin.js');
    const out = execFileSync(process.execPath, [cli, 'pack', 'hostile', '--out', '.'], {
      cwd: workshop,
      encoding: 'utf8',
    });
    expect(out).toContain('hostile-1.0.0.tgz');
    expect(out).toMatch(/sha256-[0-9a-f]{64}/);

    const host = await startHostProcess(home, {
      STEPWELL_PLUGINS: join(workshop, 'hostile-1.0.0.tgz'),
    });
    try {
      const { body } = await host.send('POST', '/api/execute-step', {
        step: { provider: 'hostile', action: 'throw_typed', params: { kind: 'auth' } },
      });
      expect(body).toMatchObject({
        success: false,
        error: { code: 'provider.auth_failed', message: 'the key was refused' },
      });
    } finally {
      await host.stop();
    }
  });
});
