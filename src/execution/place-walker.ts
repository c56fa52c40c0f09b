import type { Clock } from '../common/clock.js';
import type { JsonValue } from '../common/json.js';
import type { ProviderResult } from '../common/provider-result.js';
import { mayResendAfterLoss, type ResolvedEffects } from '../plans/rules/retry-policy.js';
import { divergedResult, markUnknown, mustReplay, nextAttemptDelayMs } from './next-attempt.js';
import { ReplayedCalls } from './replayed-calls.js';
import { attemptKey } from './run-store.js';
import { hideSecretParams } from './secret-params.js';
import type { PreparedStep, StepPreparer } from './step-preparer.js';
import type { StepRunner } from './step-runner.js';
import { entryHead, hasStopped, type Place, type Walk } from './walk.js';
import type { WaitWalker } from './waits/wait-walker.js';

/** How a place ended. Its entries are in the journal, though maybe not durable yet. */
export interface PlaceEnd {
  result: ProviderResult;
  effects: ResolvedEffects;
}

/** Takes one place of a run, a step or an item of its `for_each`, through all of its attempts. */
export class PlaceWalker {
  constructor(
    private readonly preparer: StepPreparer,
    private readonly runner: StepRunner,
    private readonly waits: WaitWalker,
    private readonly clock: Clock,
  ) {}

  /** Null: the walk stopped before the place had its result. @throws LeaseLost */
  async walk(walk: Walk, place: Place): Promise<PlaceEnd | null> {
    const preparation = await this.preparer.prepare(walk, place);
    if (preparation.ok) {
      const { prepared } = preparation;
      const isWait = prepared.action.form === 'wait';
      return await (isWait
        ? this.waits.walk(walk, place, prepared)
        : this.attempt(walk, place, prepared));
    }
    const earlier = walk.state.earlierAttempts(keyOf(place));
    // What made it fail before stands in the journal; why it can't be tried again adds nothing.
    if (earlier?.failure) return { result: earlier.failure, effects: 'none' };
    return await this.endUnrun(walk, place, preparation);
  }

  /** A place that fails before anything of it runs. @throws LeaseLost */
  async endUnrun(
    walk: Walk,
    place: Pick<Place, 'step' | 'iteration'>,
    outcome: { input: JsonValue; result: ProviderResult },
  ): Promise<PlaceEnd> {
    const attempt = (walk.state.earlierAttempts(keyOf(place))?.last ?? 0) + 1;
    const head = entryHead(walk, place, { attempt, now: this.clock.now() });
    const { provider, action, version } = head;
    const metadata = { latency_ms: 0, attempts: attempt, provider, action, version };
    const result = { ...outcome.result, metadata: { ...outcome.result.metadata, ...metadata } };
    const times = { latencyMs: 0, finishedAt: head.startedAt };
    const { input } = outcome;
    await walk.journal.add({ ...head, status: 'error', input, result, ...times });
    return { result, effects: 'none' };
  }

  private async attempt(
    walk: Walk,
    place: Place,
    prepared: PreparedStep,
  ): Promise<PlaceEnd | null> {
    const { state, journal, run } = walk;
    const { action, effects, input } = prepared;
    const earlier = state.earlierAttempts(keyOf(place));
    const forgiven = earlier?.forgiven ?? 0;
    let attempt = earlier?.last ?? 0;
    let failure = earlier?.failure ?? null;
    const firstAt = earlier?.firstAt ?? this.clock.now();
    const sinceFirstAttemptMs = (): number => this.clock.now() - firstAt;
    let crashes = Number(failure?.error?.code === 'plugin.crashed');
    let delayMs =
      failure &&
      nextAttemptDelayMs(prepared, {
        attempt: attempt - forgiven,
        ...{ result: failure, crashes, sinceFirstAttemptMs: sinceFirstAttemptMs() },
      });
    // It was decided before, and some of it is over.
    if (delayMs !== null && earlier?.nextAttemptAt != null) {
      delayMs = Math.max(0, earlier.nextAttemptAt - this.clock.now());
    }
    // What may not be sent twice is announced before it is sent, and its answers are remembered. Those
    // that an earlier host was given died with it.
    const isOnce = !mayResendAfterLoss(effects, action.idempotency);
    let calls: ReplayedCalls | null = null;
    for (;;) {
      if (failure) {
        if (delayMs === null) return { result: failure, effects };
        await walk.room.sleep(delayMs, calls !== null);
      }
      if (hasStopped(walk)) return null;

      attempt++;
      const begin = this.clock.monotonic();
      const shown = hideSecretParams(action.input, input);
      const head = entryHead(walk, place, { attempt, now: this.clock.now() });
      const entry = { ...head, input: shown };
      if (isOnce) await journal.add({ ...entry, status: 'started' });
      // Whatever changes the world outside does so only after all that led to it is durable. The database
      // gives credentials to runs that it knows, and whoever is told of a run finds it there.
      const mustBeStored = action.credential !== undefined || state.isNamed;
      if (effects === 'write' || (mustBeStored && !journal.isStored)) await journal.flush();

      const isReplay: boolean = calls !== null;
      if (isOnce) calls ??= new ReplayedCalls();
      const { lease, tenantName } = run;
      const { iteration } = place;
      const given = { lease, tenantName, iteration, attempt, calls, isReplay, signal: walk.signal };
      let result = await this.runner.run(prepared, given);
      if (calls?.hasDiverged === true) result = divergedResult(result);
      result = state.fit(result);
      if (calls?.hasUnanswered === true && !calls.hasDiverged) result = markUnknown(result);
      // Killed, not ended: a result that came in time is written even if the walk stops now.
      if (walk.signal.aborted && result.error?.code === 'step.cancelled') return null;
      crashes += Number(result.error?.code === 'plugin.crashed');
      delayMs = nextAttemptDelayMs(prepared, {
        attempt: attempt - forgiven,
        ...{ result, crashes, calls, sinceFirstAttemptMs: sinceFirstAttemptMs() },
      });
      if (!mustReplay(result, calls)) calls = null;
      failure = result.success ? null : result;
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
      if (result.success) return { result, effects };
      if (delayMs !== null || walk.signal.aborted) await journal.flush();
    }
  }
}

function keyOf({ step, iteration }: Pick<Place, 'step' | 'iteration'>): string {
  return attemptKey({ stepId: step.id, iteration });
}
