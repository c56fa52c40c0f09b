import { Inject, Injectable } from '@nestjs/common';

import { CLOCK, type Clock } from '../common/clock.js';
import { ExpressionError } from '../common/expression/expression-error.js';
import type { JsonValue } from '../common/json.js';
import { stepFailed, type ProviderResult, type StepErrorCode } from '../common/provider-result.js';
import type { PlanStep } from '../plans/rules/plan-definition.js';
import { mayResendAfterLoss, mayRetry, retryDelayMs } from '../plans/rules/retry-policy.js';
import { evaluateWhen, parseWhen } from '../plans/rules/when.js';
import { ReplayedCalls } from './replayed-calls.js';
import { hideSecretParams } from './secret-params.js';
import { StepPreparer, type PreparedStep } from './step-preparer.js';
import { StepRunner } from './step-runner.js';
import { hasStopped, type Walk } from './walk.js';

/** Takes one step from its condition through all of its attempts to its result. */
@Injectable()
export class StepWalker {
  constructor(
    private readonly preparer: StepPreparer,
    private readonly runner: StepRunner,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /** Ends when the step has a result, or when the walk stops before it has. @throws LeaseLost */
  async walk(walk: Walk, step: PlanStep): Promise<void> {
    const { state } = walk;
    const earlier = state.earlierFailure(step.id);
    if (step.when !== null && !earlier) {
      const isWanted = readCondition(step.when, walk);
      if (isWanted === false) {
        state.settle(step.id, { status: 'skipped' });
        await walk.journal.add({ ...this.head(walk, step, 0), status: 'skipped' });
        return;
      }
      if (isWanted !== true) {
        const input = await this.preparer.showParams(walk, step);
        await this.settleUnrun(walk, step, { attempt: 1, input, result: isWanted });
        return;
      }
    }
    const preparation = await this.preparer.prepare(walk, step);
    if (preparation.ok) {
      await this.attempt(walk, preparation.prepared);
    } else if (earlier) {
      // What made it fail before stands in the journal; why it can't be tried again adds nothing.
      state.settle(step.id, { status: 'error', result: earlier.result });
    } else {
      await this.settleUnrun(walk, step, { attempt: 1, ...preparation });
    }
  }

  private async attempt(walk: Walk, prepared: PreparedStep): Promise<void> {
    const { state, journal, run } = walk;
    const { step, action, effects, input } = prepared;
    const earlier = state.earlierFailure(step.id);
    let last = earlier ? { attempt: earlier.attempt, result: earlier.result } : null;
    let crashes = Number(last?.result.error?.code === 'plugin.crashed');
    let delayMs = last && nextAttemptDelayMs(prepared, { ...last, crashes });
    // What may not be sent twice is announced before it is sent, and its answers are remembered. Those
    // that an earlier host was given died with it.
    const isOnce = !mayResendAfterLoss(effects, action.idempotency);
    let calls: ReplayedCalls | null = null;
    for (;;) {
      if (last) {
        if (delayMs === null) {
          state.settle(step.id, { status: 'error', result: last.result });
          return;
        }
        await this.rest(walk, step, delayMs);
      }
      if (hasStopped(walk)) return;

      const attempt: number = (last?.attempt ?? 0) + 1;
      const begin = this.clock.monotonic();
      const shown = hideSecretParams(action.input, input);
      const entry = { ...this.head(walk, step, attempt), input: shown };
      if (isOnce) await journal.add({ ...entry, status: 'started' });
      // Whatever changes the world outside does so only after all that led to it is durable.
      if (effects === 'write') await journal.flush();

      const isReplay: boolean = calls !== null;
      if (isOnce) calls ??= new ReplayedCalls();
      const { lease, tenantName } = run;
      const given = { lease, tenantName, attempt, calls, isReplay, signal: walk.signal };
      let result = state.fit(await this.runner.run(prepared, given));
      if (calls?.hasDiverged === true) result = divergedResult(result);
      else if (calls?.hasUnanswered === true) result = markUnknown(result);
      // Killed, not ended: a result that came in time is written even if the walk stops now.
      if (walk.signal.aborted && result.error?.code === 'step.cancelled') return;
      last = { attempt, result };
      crashes += Number(result.error?.code === 'plugin.crashed');
      delayMs = nextAttemptDelayMs(prepared, { ...last, crashes, calls });
      if (!mustReplay(result, calls)) calls = null;
      if (delayMs !== null) {
        result = { ...result, metadata: { ...result.metadata, next_attempt_in_ms: delayMs } };
      }
      await journal.add({
        ...entry,
        status: result.success ? 'success' : 'error',
        result,
        latencyMs: this.clock.monotonic() - begin,
        finishedAt: new Date(this.clock.now()),
      });
      if (result.success) {
        state.settle(step.id, { status: 'success', result });
        // The last result of a run is written together with its end.
        if (effects !== 'none' && !state.isLast(step.id)) await journal.flush();
        return;
      }
      if (delayMs !== null || walk.signal.aborted) await journal.flush();
    }
  }

  private async rest(walk: Walk, step: PlanStep, delayMs: number): Promise<void> {
    walk.resting.add(step.id);
    await this.clock.sleep(delayMs, AbortSignal.any([walk.signal, walk.draining]));
    walk.resting.delete(step.id);
  }

  /** A step that failed before anything of it ran. */
  private async settleUnrun(
    walk: Walk,
    step: PlanStep,
    outcome: { attempt: number; input: JsonValue; result: ProviderResult },
  ): Promise<void> {
    const { attempt, input } = outcome;
    const head = this.head(walk, step, attempt);
    const { provider, action, version } = head;
    const metadata = { latency_ms: 0, attempts: attempt, provider, action, version };
    const result = { ...outcome.result, metadata: { ...outcome.result.metadata, ...metadata } };
    walk.state.settle(step.id, { status: 'error', result });
    const finishedAt = head.startedAt;
    await walk.journal.add({ ...head, status: 'error', input, result, latencyMs: 0, finishedAt });
  }

  private head(walk: Walk, step: PlanStep, attempt: number) {
    return {
      stepId: step.id,
      iteration: 0,
      provider: step.provider,
      action: step.action,
      version: walk.run.definition.pins[step.id]?.version ?? '',
      attempt,
      startedAt: new Date(this.clock.now()),
    };
  }
}

/** Whether the step runs, or why that can't be said. */
function readCondition(when: string, { state }: Walk): boolean | ProviderResult {
  try {
    return evaluateWhen(parseWhen(when), state.scope, state.meter);
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
    const code = error.reason === 'missing' ? 'reference.missing' : 'input.invalid';
    return stepFailed(code, `when: ${error.message}`);
  }
}

/** The child died, or there was none to be had for the replay. */
const REPLAYED_AFTER: ReadonlySet<StepErrorCode> = new Set<StepErrorCode>([
  'plugin.crashed',
  'sandbox.unavailable',
]);

/**
 * Whether no attempt may begin without the answers so far: something was done, or the step didn't get
 * to say what the answers that it was given mean.
 */
function mustReplay({ error }: ProviderResult, calls: ReplayedCalls | null): boolean {
  if (!error || !calls) return false;
  return calls.hasDone || (REPLAYED_AFTER.has(error.code) && calls.hasAnswers);
}

/** Null: there is no further attempt. */
function nextAttemptDelayMs(
  { step, action, effects }: PreparedStep,
  failed: {
    attempt: number;
    result: ProviderResult;
    /** Attempts so far that ended with the death of their child. */
    crashes: number;
    calls?: ReplayedCalls | null;
  },
): number | null {
  const { attempt, calls } = failed;
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
  return retryDelayMs({ policy: step.retry, attempt, error, random: Math.random });
}

/** It failed after it had sent something that was never answered. */
function markUnknown(result: ProviderResult): ProviderResult {
  const { error } = result;
  if (!error) return result;
  const details = { ...error.details, outcome: 'unknown' };
  return { ...result, error: { ...error, retryable: false, details } };
}

/** Its first attempt sent something and crashed; its second asked for something else. */
function divergedResult({ metadata }: ProviderResult): ProviderResult {
  return stepFailed(
    'outcome.unknown',
    'the step crashed after it had sent requests, and its next attempt asked for others, which were not sent; look at the provider for what the first ones did',
    { metadata },
  );
}
