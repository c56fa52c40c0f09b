import { describe, expect, it } from '@jest/globals';

import { decideOverlap, MAX_WAITING } from './overlap.js';

const START = { start: true, cancelsOthers: false };

describe('overlap', () => {
  it.each(['skip', 'queue', 'allow', 'cancel'] as const)(
    '%s starts when nothing runs',
    (overlap) => {
      expect(decideOverlap(overlap, { unfinished: 0, waiting: 0 })).toEqual(START);
    },
  );

  it('decides what happens behind a run', () => {
    const busy = { unfinished: 1, waiting: 0 };
    expect(decideOverlap('skip', busy)).toMatchObject({ start: false, waits: false });
    expect(decideOverlap('queue', busy)).toMatchObject({ start: false, waits: true });
    expect(decideOverlap('allow', busy)).toEqual(START);
    expect(decideOverlap('cancel', busy)).toEqual({ start: true, cancelsOthers: true });
  });

  it('overtakes nothing that waits, and lets only so many wait', () => {
    expect(decideOverlap('queue', { unfinished: 0, waiting: 1 })).toMatchObject({ waits: true });
    const full = { unfinished: 1, waiting: MAX_WAITING };
    expect(decideOverlap('queue', full)).toMatchObject({ start: false, waits: false });
  });
});
