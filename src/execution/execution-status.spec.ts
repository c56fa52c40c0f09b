import { expect, it } from '@jest/globals';

import { isFinished, statusesBefore } from './execution-status.js';

it('a finished execution stays as it is', () => {
  for (const status of ['success', 'error', 'cancelled'] as const) {
    expect(isFinished(status)).toBe(true);
    for (const event of ['claimed', 'succeeded', 'failed', 'cancelled'] as const) {
      expect(statusesBefore(event)).not.toContain(status);
    }
  }
});

it('only a running one succeeds or fails, and every unfinished one can be cancelled', () => {
  expect(statusesBefore('succeeded')).toEqual(['running']);
  expect(statusesBefore('failed')).toEqual(['running']);
  expect(statusesBefore('claimed')).toEqual(['queued', 'running']);
  expect(statusesBefore('cancelled')).toEqual(['queued', 'running', 'waiting', 'paused']);
});
