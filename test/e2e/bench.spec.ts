import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { describe, expect, it } from '@jest/globals';

import { ROOT } from '../support/host-process.js';

/** Their figures are for people; here they only have to run, and to measure all that they name. */
describe('the bench runs', () => {
  it('for single steps', async () => {
    const { rows } = await bench<{ rows: { p50: number; p99: number }[] }>('step-latency.mjs');
    expect(rows).toHaveLength(7);
    for (const { p50, p99 } of rows) expect([p50 > 0, p99 >= p50]).toEqual([true, true]);
  }, 60_000);

  it('for many runs at once', async () => {
    const { rows, ratios } = await bench<{
      rows: ({ name: string } & Record<string, number>)[];
      ratios: { accepted: number; runs: number }[];
    }>('throughput.mjs');
    expect(rows).toHaveLength(2);
    for (const { name, ...figures } of rows) {
      for (const [figure, value] of Object.entries(figures)) {
        expect([name, figure, value > 0]).toEqual([name, figure, true]);
      }
    }
    // A tenth of what was measured, so that a busy machine doesn't fail it.
    for (const { runs } of ratios) expect(runs).toBeGreaterThan(1);
  }, 60_000);
});

async function bench<Figures>(script: string): Promise<Figures> {
  const path = join(ROOT, 'test', 'bench', script);
  const { stdout } = await promisify(execFile)(process.execPath, [path, '--short', '--json'], {
    cwd: ROOT,
    env: { PATH: process.env['PATH'] },
  });
  return JSON.parse(stdout) as Figures;
}
