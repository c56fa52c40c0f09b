import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { expect, it } from '@jest/globals';

import { ROOT } from '../support/host-process.js';

/** The short form of `npm run chaos` (docs/reliability.md), with other strikes each time. */
it('loses nothing and repeats no effect while hosts are killed', async () => {
  const script = join(ROOT, 'test', 'chaos', 'chaos.mjs');
  const args = ['--kills', '5', '--hosts', '2', '--runs', '8', '--json'];
  const { stdout } = await promisify(execFile)(process.execPath, [script, ...args], {
    cwd: ROOT,
    env: { PATH: process.env['PATH'] },
  });
  const figures = JSON.parse(stdout) as Record<string, number>;
  expect(figures).toMatchObject({ lost: 0, effects_repeated: 0, checkpoints_repeated: 0 });
  expect(figures['accepted']).toBeGreaterThan(8);
  expect(figures['finished']).toBe(figures['accepted']);
}, 150_000);
