import { describe, expect, it } from '@jest/globals';

import { SessionTokens } from './session-tokens.js';

const SESSION = {
  sessionId: '01900000-0000-7000-8000-000000000001',
  userId: '01900000-0000-7000-8000-000000000002',
};
const START_MS = Date.UTC(2026, 10, 20);
const HOUR_MS = 3_600_000;

describe('SessionTokens', () => {
  it('believes what it signed', async () => {
    const { tokens } = makeTokens();
    const token = await tokens.sign(SESSION, new Date(START_MS + HOUR_MS));
    expect(await tokens.verify(token)).toEqual(SESSION);
  });

  it.each([
    [-61_000, false],
    [-20_000, true],
    [HOUR_MS - 1, true],
    [HOUR_MS + 20_000, true],
    [HOUR_MS + 61_000, false],
  ])('allows clocks to differ by 30 s: %d ms after it was signed', async (laterMs, isGood) => {
    const { tokens, clock } = makeTokens();
    const token = await tokens.sign(SESSION, new Date(START_MS + HOUR_MS));
    clock.nowMs += laterMs;
    expect(await tokens.verify(token)).toEqual(isGood ? SESSION : null);
  });

  it('never lets a token live longer than a session, whatever its end', async () => {
    const { tokens, clock } = makeTokens();
    const token = await tokens.sign(SESSION, new Date(START_MS + 10 * HOUR_MS));
    clock.nowMs += 2 * HOUR_MS;
    expect(await tokens.verify(token)).toBeNull();
  });

  it('does not believe another installation', async () => {
    const token = await makeTokens(2).tokens.sign(SESSION, new Date(START_MS + HOUR_MS));
    expect(await makeTokens(1).tokens.verify(token)).toBeNull();
  });

  it.each(['', 'x', 'a.b.c', '..', `${'a'.repeat(10_000)}.b.c`])(
    'takes %p for none',
    async (text) => {
      expect(await makeTokens().tokens.verify(text)).toBeNull();
    },
  );
});

function makeTokens(keyByte = 1): { tokens: SessionTokens; clock: { nowMs: number } } {
  const clock = { nowMs: START_MS };
  const tokens = new SessionTokens(Buffer.alloc(32, keyByte), {
    now: () => clock.nowMs,
    monotonic: () => clock.nowMs,
    sleep: () => Promise.resolve(),
  });
  return { tokens, clock };
}
