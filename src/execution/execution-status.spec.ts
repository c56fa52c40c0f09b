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

it('a failed one is tried again by being queued, and a paused one goes on that way', () => {
  expect(statusesBefore('retried')).toEqual(['error']);
  expect(statusesBefore('resumed')).toEqual(['paused']);
  expect(statusesBefore('paused')).toEqual(['queued', 'running', 'waiting']);
});

it('only a running one succeeds or fails, and every unfinished one can be cancelled', () => {
  expect(statusesBefore('succeeded')).toEqual(['running']);
  expect(statusesBefore('failed')).toEqual(['running']);
  expect(statusesBefore('claimed')).toEqual(['queued', 'running']);
  expect(statusesBefore('cancelled')).toEqual(['queued', 'running', 'waiting', 'paused']);
});
