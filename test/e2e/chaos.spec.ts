import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { expect, it } from '@jest/globals';

import { ROOT } from '../support/host-process.js';

/** Every kind once. */
const STRIKES = 25;
const TIMEOUT_MS = 200_000;

/** The short form of `npm run chaos` (docs/reliability.md), in another order each time. */
it(
  'loses nothing and repeats no effect, whatever is struck',
  async () => {
    const script = join(ROOT, 'test', 'chaos', 'chaos.mjs');
    const args = ['--strikes', String(STRIKES), '--runs', '8', '--pause-ms', '200', '--json'];
    // Other tests run at the same time, and take what a takeover needs.
    args.push('--takeover-limit-ms', '12000');
    const { stdout } = await promisify(execFile)(process.execPath, [script, ...args], {
      cwd: ROOT,
      env: { PATH: process.env['PATH'] },
      timeout: TIMEOUT_MS, // it ends what it started
    });
    const figures = JSON.parse(stdout) as Record<string, number | Record<string, number>>;
    expect(figures).toMatchObject({
      lost: 0,
      split_keys: 0,
      runs_untold: 0,
      effects_repeated: 0,
      effects_missing: 0,
      effects_untold: 0,
      checkpoints_repeated: 0,
      fires_lost: 0,
      fires_double: 0,
      takeovers_too_slow: 0,
      hosts_ended_by_themselves: 0,
    });
    expect(figures['accepted']).toBeGreaterThan(8);
    expect(figures['finished']).toBe(figures['accepted']);
    expect(figures['fires_due']).toBeGreaterThan(10);
    const strikes = Object.values(figures['strikes'] as Record<string, number>);
    const missed = figures['points_not_reached'] as number;
    expect(missed).toBeLessThan(4);
    expect(strikes.reduce((sum, times) => sum + times, missed)).toBe(STRIKES);
  },
  TIMEOUT_MS + 40_000,
);
