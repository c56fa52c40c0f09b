import { Inject, Injectable, Logger } from '@nestjs/common';

import type { Clock } from '../common/clock.js';
import { isConnectionLost } from '../common/connection-lost.js';
import { messageOf } from '../common/errors.js';
import { ExpressionError } from '../common/expression/expression-error.js';
import type { JsonValue } from '../common/json.js';
import { stepFailed, type ProviderResult } from '../common/provider-result.js';
import type { PlanStep } from '../plans/rules/plan-definition.js';
import { mayResendAfterLoss, mayRetry, retryDelayMs } from '../plans/rules/retry-policy.js';
import { evaluateWhen, parseWhen } from '../plans/rules/when.js';
import { ReplayedCalls } from './replayed-calls.js';
import { RunState } from './run-state.js';
import {
  LeaseLost,
  RUN_STORE,
  type JournalEntry,
  type LeasedRun,
  type RunStore,
} from './run-store.js';
import { StepRunner, type PreparedStep } from './step-runner.js';

export const CLOCK = Symbol('Clock');

/** A run that so many hosts have given up kills them: it ends instead of killing the next. */
const MAX_EPOCHS = 25;
const DATABASE_RETRY_MS = 60_000;
const DATABASE_RETRY_PAUSE_MS = 250;

/** Walks the steps of runs: branches side by side, each result durable before it is built upon. */
@Injectable()
export class RunWalker {
  private readonly logger = new Logger('execution');
  private readonly draining = new AbortController();

  constructor(
    @Inject(RUN_STORE) private readonly store: RunStore,
    private readonly steps: StepRunner,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /** From now on no run begins another step or another attempt; each stops where it stands. */
  drain(): void {
    this.draining.abort();
  }

  /**
   * Walks one run until it finishes, its lease is lost, `signal` aborts or the host drains.
   * @throws what storage throws when it stays away; the run can be leased again.
   */
  async walk(run: LeasedRun, signal: AbortSignal): Promise<void> {
    const walk = new Walk(run, signal);
    try {
      await this.walkSteps(walk);
    } catch (error) {
      if (!(error instanceof LeaseLost)) throw error;
      this.logger.log(
        { execution_id: run.lease.executionId },
        'another host walks this run now, or it was cancelled',
      );
    } finally {
      // Nothing of a run outlives its walk, however that ended.
      walk.abort.abort();
      await Promise.allSettled(walk.inFlight.values());
    }
  }

  private async walkSteps(walk: Walk): Promise<void> {
    const { state, inFlight } = walk;
    if (walk.run.lease.epoch > MAX_EPOCHS) {
      const { error } = stepFailed(
        'engine.gave_up',
        `this execution was taken up ${String(MAX_EPOCHS)} times and never came to an end`,
      );
      if (error)
        await this.write(walk, (entries) =>
          this.store.finish(walk.run.lease, entries, { status: 'error', output: null, error }),
        );
      return;
    }
    for (;;) {
      const move = state.nextMove();
      if (move.kind === 'finish') {
        const { outcome } = move;
        await this.write(walk, (entries) => this.store.finish(walk.run.lease, entries, outcome));
        return;
      }
      if (!this.hasStopped(walk)) {
        for (const step of move.ready) {
          state.running.add(step.id);
          inFlight.set(
            step.id,
            this.walkStep(walk, step).then(() => step),
          );
        }
      }
      if (inFlight.size === 0) break;
      const step = await Promise.race(inFlight.values());
      inFlight.delete(step.id);
      state.running.delete(step.id);
    }
    if (!walk.hasStopped) await this.flush(walk);
  }

  /** Ends when the step has a result, or when the walk stops before it has. */
  private async walkStep(walk: Walk, step: PlanStep): Promise<void> {
    const { state } = walk;
    const earlier = state.earlierFailure(step.id);
    const startedAt = new Date(this.clock.now());
    const pin = walk.run.definition.pins[step.id];
    const head = {
      stepId: step.id,
      provider: step.provider,
      action: step.action,
      version: pin?.version ?? '',
    };
    const fail = (input: JsonValue, result: ProviderResult, attempt: number): void => {
      state.settle(step.id, { status: 'error', result });
      state.note({
        ...head,
        attempt,
        startedAt,
        status: 'error',
        input,
        result,
        latencyMs: 0,
        finishedAt: new Date(this.clock.now()),
      });
    };

    if (step.when !== null && !earlier) {
      try {
        if (!evaluateWhen(parseWhen(step.when), state.scope)) {
          state.settle(step.id, { status: 'skipped' });
          state.note({ ...head, attempt: 0, startedAt, status: 'skipped' });
          return;
        }
      } catch (error) {
        if (!(error instanceof ExpressionError)) throw error;
        fail(step.params, stepFailed('reference.missing', `when: ${error.message}`), 1);
        return;
      }
    }
    const preparation = await this.steps.prepare(step, pin, state.scope);
    if (!preparation.ok) {
      fail(preparation.input, preparation.result, (earlier?.attempt ?? 0) + 1);
      return;
    }
    await this.attempt(walk, preparation.prepared, { head, earlier });
  }

  private async attempt(
    walk: Walk,
    prepared: PreparedStep,
    from: { head: Head; earlier: Extract<JournalEntry, { status: 'success' | 'error' }> | null },
  ): Promise<void> {
    const { state, run } = walk;
    const { step, action, effects, input } = prepared;
    let replay = new ReplayedCalls();
    let last = from.earlier ? { attempt: from.earlier.attempt, result: from.earlier.result } : null;
    for (;;) {
      if (last) {
        const delayMs = this.nextAttemptDelayMs(prepared, { ...last, replay });
        if (delayMs === null) {
          state.settle(step.id, { status: 'error', result: last.result });
          return;
        }
        await this.clock.sleep(delayMs, AbortSignal.any([walk.signal, this.draining.signal]));
        // Only a crash is repeated from earlier answers: any other failure may be their fault.
        if (last.result.error?.code !== 'plugin.crashed') replay = new ReplayedCalls();
      }
      if (this.hasStopped(walk)) return;

      const attempt: number = (last?.attempt ?? 0) + 1;
      const startedAt = new Date(this.clock.now());
      const begin = this.clock.monotonic();
      const entry = { ...from.head, attempt, startedAt, input };
      // What may not be sent twice is announced before it is sent; and whatever changes the world
      // outside does so only after all that led to it is durable.
      if (!mayResendAfterLoss(effects, action.idempotency))
        state.note({ ...entry, status: 'started' });
      if (effects === 'write') await this.flush(walk);

      const result = await this.steps.run(prepared, {
        lease: run.lease,
        tenantName: run.tenantName,
        attempt,
        replay,
        signal: walk.signal,
      });
      if (walk.hasStopped) return;
      state.note({
        ...entry,
        status: result.success ? 'success' : 'error',
        result,
        latencyMs: this.clock.monotonic() - begin,
        finishedAt: new Date(this.clock.now()),
      });
      if (result.success) {
        state.settle(step.id, { status: 'success', result });
        await this.flushUnlessLast(walk, prepared);
        return;
      }
      last = { attempt, result };
      if (this.nextAttemptDelayMs(prepared, { ...last, replay }) !== null) await this.flush(walk);
    }
  }

  private hasStopped(walk: Walk): boolean {
    return walk.hasStopped || this.draining.signal.aborted;
  }

  /** Null: there is no further attempt. */
  private nextAttemptDelayMs(
    { step, action, effects }: PreparedStep,
    failed: { attempt: number; result: ProviderResult; replay: ReplayedCalls },
  ): number | null {
    const { error } = failed.result;
    if (!error) return null;
    // A crash whose requests were all answered is repeated from those answers: nothing is sent again.
    const isReplayable =
      error.code === 'plugin.crashed' && failed.attempt === 1 && !failed.replay.hasUnanswered;
    if (!isReplayable && !mayRetry({ effects, idempotency: action.idempotency, error }))
      return null;
    return retryDelayMs({
      policy: step.retry,
      attempt: failed.attempt,
      error,
      random: Math.random,
    });
  }

  /** The last result of a run is written together with its end. */
  private async flushUnlessLast(walk: Walk, { step, effects }: PreparedStep): Promise<void> {
    const others = [...walk.state.running].filter((id) => id !== step.id);
    const isLast = others.length === 0 && walk.state.results.size === walk.state.steps.length;
    if (effects !== 'none' && !isLast) await this.flush(walk);
  }

  private async flush(walk: Walk): Promise<void> {
    await this.write(walk, (entries) => this.store.checkpoint(walk.run.lease, entries));
  }

  /** One write at a time, each with all that is not written yet; tried again while the database is away. */
  private async write(walk: Walk, send: (entries: JournalEntry[]) => Promise<void>): Promise<void> {
    const turn = walk.writing.then(async () => {
      const entries = walk.state.takeUnwritten();
      const deadline = this.clock.monotonic() + DATABASE_RETRY_MS;
      for (;;) {
        try {
          await send(entries);
          return;
        } catch (error) {
          if (!isConnectionLost(error) || walk.signal.aborted || this.clock.monotonic() > deadline)
            throw error;
          this.logger.warn(
            { execution_id: walk.run.lease.executionId, reason: messageOf(error) },
            'the journal cannot be written; trying again',
          );
          await this.clock.sleep(DATABASE_RETRY_PAUSE_MS, walk.signal);
        }
      }
    });
    // A failed write ends the walk by its own promise; the next one must not fail for it as well.
    walk.writing = turn.catch(() => undefined);
    await turn;
  }
}

interface Head {
  stepId: string;
  provider: string;
  action: string;
  version: string;
}

/** One walk over one run. */
class Walk {
  readonly state: RunState;
  readonly abort = new AbortController();
  /** Aborts when the caller says so, or when the walk ends. */
  readonly signal: AbortSignal;
  readonly inFlight = new Map<string, Promise<PlanStep>>();
  writing: Promise<void> = Promise.resolve();

  constructor(
    readonly run: LeasedRun,
    signal: AbortSignal,
  ) {
    this.state = new RunState(run);
    this.signal = AbortSignal.any([signal, this.abort.signal]);
  }

  get hasStopped(): boolean {
    return this.signal.aborted;
  }
}
