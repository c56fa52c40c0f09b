import type { Effects, Idempotency } from '@stepwell/plugin-sdk';

import { readPointer } from '../../common/json.js';
import type { JsonValue } from '../../common/json.js';
import type { StepError } from '../../common/provider-result.js';

export interface RetryPolicy {
  /** Of all attempts, the first one included. */
  readonly maxAttempts: number;
  readonly backoffMs: number;
  readonly factor: number;
  readonly maxBackoffMs: number;
  /** Counted from when the first attempt began: no other begins later. Null: none. */
  readonly deadlineMs: number | null;
}

export const DEFAULT_RETRY: RetryPolicy = {
  maxAttempts: 3,
  backoffMs: 500,
  factor: 2,
  maxBackoffMs: 30_000,
  deadlineMs: null,
};

/** A provider that asks for more is not waited for: the step fails and may be retried by hand. */
export const MAX_RETRY_AFTER_MS = 24 * 60 * 60 * 1000;

export type ResolvedEffects = 'none' | 'read' | 'write';

/** What an action does with this input. A method that can't be read is taken for a write. */
export function resolveEffects(effects: Effects, input: JsonValue): ResolvedEffects {
  if (typeof effects === 'string') return effects;
  const method = readPointer(input, effects.byMethod);
  return typeof method === 'string' && READING_METHODS.has(method.toUpperCase()) ? 'read' : 'write';
}

const READING_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * Whether a failed attempt may be sent again. The error must say that another try may help, and a
 * second send must do no harm: either nothing is written twice, or the provider's answer says that
 * nothing was done (`provider.*`: a typed error such as RateLimited or Retryable), or nothing ran yet.
 */
export function mayRetry(attempt: {
  effects: ResolvedEffects;
  idempotency: Idempotency;
  error: Pick<StepError, 'code' | 'retryable' | 'details'>;
}): boolean {
  const { code, retryable, details } = attempt.error;
  if (!retryable) return false;
  // A 500 or a gateway's timeout doesn't tell whether the work was done; who maps one says so.
  const isClearAnswer =
    code === 'sandbox.unavailable' ||
    (code.startsWith('provider.') && details?.['outcome'] !== 'unknown');
  return isClearAnswer || mayResendAfterLoss(attempt.effects, attempt.idempotency);
}

/** Whether a step may be sent again when its outcome is unknown: after a crash, an intent without a result. */
export function mayResendAfterLoss(effects: ResolvedEffects, idempotency: Idempotency): boolean {
  return effects !== 'write' || idempotency !== 'none';
}

/**
 * How long to wait before the next attempt, in milliseconds, or null when there is none.
 * Exponential backoff with full jitter: anywhere between 0 and the step's share, so that many
 * failing at once don't return at once. A `retry_after_ms` of the error is a lower bound. There is no
 * next attempt that would begin after the policy's deadline.
 */
export function retryDelayMs(failed: {
  policy: RetryPolicy;
  /** The attempt that failed, from 1. */
  attempt: number;
  error: StepError;
  /** How long ago the first attempt began, milliseconds. */
  sinceFirstAttemptMs: number;
  /** From 0 up to, not including, 1. */
  random: () => number;
}): number | null {
  const { policy, attempt, sinceFirstAttemptMs } = failed;
  if (attempt >= policy.maxAttempts) return null;
  const ceiling = Math.min(policy.maxBackoffMs, policy.backoffMs * policy.factor ** (attempt - 1));
  const retryAfterMs = readRetryAfterMs(failed.error);
  if (retryAfterMs > MAX_RETRY_AFTER_MS) return null;
  const delayMs = Math.max(Math.floor(failed.random() * ceiling), Math.ceil(retryAfterMs));
  const isTooLate = policy.deadlineMs !== null && sinceFirstAttemptMs + delayMs > policy.deadlineMs;
  return isTooLate ? null : delayMs;
}

/** Plugins write it, so it may be anything. */
function readRetryAfterMs(error: StepError): number {
  const asked = error.details?.['retry_after_ms'];
  return typeof asked === 'number' && Number.isFinite(asked) && asked > 0 ? asked : 0;
}
