import { describe, expect, it } from '@jest/globals';

import { stepFailed } from '../../common/provider-result.js';
import type { StepError, StepErrorCode } from '../../common/provider-result.js';
import {
  DEFAULT_RETRY,
  mayResendAfterLoss,
  mayRetry,
  resolveEffects,
  retryDelayMs,
} from './retry-policy.js';

function error(code: StepErrorCode, retryAfterMs?: number): StepError {
  const details = retryAfterMs === undefined ? {} : { details: { retry_after_ms: retryAfterMs } };
  const made = stepFailed(code, 'x', details).error;
  if (made === null) throw new Error('expected an error');
  return made;
}

describe('mayRetry', () => {
  const write = { effects: 'write', idempotency: 'none' } as const;
  it.each<[StepErrorCode, boolean, boolean]>([
    // code, as a plain write, as a read
    ['provider.rate_limited', true, true],
    ['provider.unavailable', true, true],
    ['provider.rejected', false, false],
    ['provider.auth_failed', false, false],
    ['egress.failed', false, true],
    ['egress.timed_out', false, true],
    ['plugin.crashed', false, true],
    ['step.timed_out', false, true],
    ['plugin.threw', false, false],
    ['input.invalid', false, false],
    ['outcome.unknown', false, false],
    ['sandbox.unavailable', true, true],
    ['engine.failed', false, true],
  ])('%s', (code, asWrite, asRead) => {
    expect(mayRetry({ ...write, error: error(code) })).toBe(asWrite);
    expect(mayRetry({ ...write, effects: 'read', error: error(code) })).toBe(asRead);
    expect(mayRetry({ ...write, idempotency: 'key', error: error(code) })).toBe(asRead);
    expect(mayRetry({ ...write, idempotency: 'natural', error: error(code) })).toBe(asRead);
  });

  it('holds an answer that leaves the outcome open to effects and idempotency', () => {
    const open = { ...error('provider.unavailable'), details: { outcome: 'unknown' } };
    expect(mayRetry({ ...write, error: open })).toBe(false);
    expect(mayRetry({ ...write, effects: 'read', error: open })).toBe(true);
    expect(mayRetry({ ...write, idempotency: 'key', error: open })).toBe(true);
  });

  it('believes an error that says it is final', () => {
    const final = { code: 'provider.unavailable', retryable: false } as const;
    expect(mayRetry({ effects: 'read', idempotency: 'key', error: final })).toBe(false);
  });
});

describe('effects', () => {
  it('follows the method', () => {
    const effects = { byMethod: '/request/method' };
    expect(resolveEffects('none', {})).toBe('none');
    expect(resolveEffects(effects, { request: { method: 'get' } })).toBe('read');
    expect(resolveEffects(effects, { request: { method: 'HEAD' } })).toBe('read');
    expect(resolveEffects(effects, { request: { method: 'DELETE' } })).toBe('write');
    expect(resolveEffects(effects, {})).toBe('write');
    expect(resolveEffects(effects, { request: { method: ['GET'] } })).toBe('write');
  });

  it('resends after a loss only what does no harm twice', () => {
    expect(mayResendAfterLoss('write', 'none')).toBe(false);
    expect(mayResendAfterLoss('write', 'key')).toBe(true);
    expect(mayResendAfterLoss('read', 'none')).toBe(true);
    expect(mayResendAfterLoss('none', 'none')).toBe(true);
  });
});

describe('retryDelayMs', () => {
  const delay = (attempt: number, random: number, retryAfterMs?: number): number | null =>
    retryDelayMs({
      policy: { ...DEFAULT_RETRY, maxAttempts: 10 },
      attempt,
      sinceFirstAttemptMs: 0,
      error: error('provider.unavailable', retryAfterMs),
      random: () => random,
    });

  it('grows by the factor up to the cap, with full jitter', () => {
    expect([1, 2, 3, 4, 7, 9].map((attempt) => delay(attempt, 0.999_999))).toEqual([
      499, 999, 1999, 3999, 29_999, 29_999,
    ]);
    expect(delay(5, 0)).toBe(0);
    expect(delay(1, 0.5)).toBe(250);
  });

  it('waits at least as long as the provider asks', () => {
    expect(delay(1, 0.5, 60_000)).toBe(60_000);
    expect(delay(1, 0.5, 10)).toBe(250);
    expect(delay(1, 0.5, -5)).toBe(250);
    expect(delay(1, 0.5, Number.NaN)).toBe(250);
    expect(delay(1, 0.5, 1e12)).toBeNull();
  });

  it('begins no attempt after the deadline', () => {
    const failed = {
      policy: { ...DEFAULT_RETRY, deadlineMs: 10_000 },
      attempt: 1,
      sinceFirstAttemptMs: 0,
      error: error('egress.failed'),
      random: () => 0.5,
    };
    expect(retryDelayMs(failed)).toBe(250);
    expect(retryDelayMs({ ...failed, sinceFirstAttemptMs: 9_750 })).toBe(250);
    expect(retryDelayMs({ ...failed, sinceFirstAttemptMs: 9_751 })).toBeNull();
    const asked = { ...failed, error: error('provider.rate_limited', 10_001) };
    expect(retryDelayMs(asked)).toBeNull();
    expect(retryDelayMs({ ...asked, policy: DEFAULT_RETRY })).toBe(10_001);
  });

  it('ends after the last attempt', () => {
    const failed = {
      ...{ policy: DEFAULT_RETRY, sinceFirstAttemptMs: 0, random: () => 0 },
      error: error('egress.failed'),
    };
    expect(retryDelayMs({ ...failed, attempt: 2 })).toBe(0);
    expect(retryDelayMs({ ...failed, attempt: 3 })).toBeNull();
  });
});
