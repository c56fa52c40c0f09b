import { stepFailed, type ProviderResult, type StepErrorCode } from '../common/provider-result.js';
import { mayRetry, retryDelayMs } from '../plans/rules/retry-policy.js';
import type { ReplayedCalls } from './replayed-calls.js';
import type { PreparedStep } from './step-preparer.js';

/** Null: there is no further attempt. */
export function nextAttemptDelayMs(
  { step, action, effects }: PreparedStep,
  failed: {
    /** From 1, without attempts that were forgiven. */
    attempt: number;
    result: ProviderResult;
    /** Since the first of those began. */
    sinceFirstAttemptMs: number;
    /** Attempts so far that ended with the death of their child. */
    crashes: number;
    calls?: ReplayedCalls | null;
  },
): number | null {
  const { attempt, calls, sinceFirstAttemptMs } = failed;
  const { error } = failed.result;
  // Who crashes twice will crash again, and take a child along each time.
  if (!error || failed.crashes > 1) return null;
  // A crash whose requests were all answered is repeated from those answers: nothing is sent again.
  const isReplayed = REPLAYED_AFTER.has(error.code) && calls?.isReplayable === true;
  const wouldDoAgain =
    calls !== null && calls !== undefined && (calls.hasDone || calls.hasUnanswered);
  const { idempotency } = action;
  const mayBeginAnew = !wouldDoAgain && mayRetry({ effects, idempotency, error });
  if (!isReplayed && !mayBeginAnew) return null;
  const { retry: policy } = step;
  return retryDelayMs({ policy, attempt, sinceFirstAttemptMs, error, random: Math.random });
}

/**
 * Whether no attempt may begin without the answers so far: something was done, or the step didn't get
 * to say what the answers that it was given mean.
 */
export function mustReplay({ error }: ProviderResult, calls: ReplayedCalls | null): boolean {
  if (!error || !calls) return false;
  return calls.hasDone || (REPLAYED_AFTER.has(error.code) && calls.hasAnswers);
}

/** It failed after it had sent something that was never answered. */
export function markUnknown(result: ProviderResult): ProviderResult {
  const { error } = result;
  if (!error) return result;
  const details = { ...error.details, outcome: 'unknown' };
  return { ...result, error: { ...error, retryable: false, details } };
}

/** Its first attempt sent something and crashed; its second asked for something else. */
export function divergedResult({ metadata }: ProviderResult): ProviderResult {
  return stepFailed(
    'outcome.unknown',
    'the step crashed after it had sent requests, and its next attempt asked for others, which were not sent; look at the provider for what the first ones did',
    { metadata },
  );
}

/** The child died, or there was none to be had for the replay. */
const REPLAYED_AFTER: ReadonlySet<StepErrorCode> = new Set<StepErrorCode>([
  'plugin.crashed',
  'sandbox.unavailable',
]);
