import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { expect, it } from '@jest/globals';

import { ROOT } from '../support/host-process.js';

/** Its figures are for people; here it only has to run and measure each kind of step. */
it('the bench runs', async () => {
  const script = join(ROOT, 'test', 'bench', 'step-latency.mjs');
  const { stdout } = await promisify(execFile)(process.execPath, [script, '--short', '--json'], {
    cwd: ROOT,
    env: { PATH: process.env['PATH'] },
  });
  const { rows } = JSON.parse(stdout) as { rows: { name: string; p50: number; p99: number }[] };
  expect(rows).toHaveLength(7);
  for (const { p50, p99 } of rows) expect([p50 > 0, p99 >= p50]).toEqual([true, true]);
}, 60_000);
