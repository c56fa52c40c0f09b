import { Inject, Injectable, Logger } from '@nestjs/common';

import { CLOCK, type Clock } from '../common/clock.js';
import { messageOf } from '../common/errors.js';
import type { StepErrorCode } from '../common/provider-result.js';
import type { PlanStep } from '../plans/rules/plan-definition.js';
import { createPayloadCache } from './blobs/run-outputs.js';
import { withPatience } from './database-patience.js';
import { JournalWriter } from './journal-writer.js';
import { isRefusedForItsContent } from './refused-content.js';
import { RunState } from './run-state.js';
import {
  LeaseLost,
  RUN_STORE,
  type LeasedRun,
  type RunOutcome,
  type RunStore,
} from './run-store.js';
import { StepWalker } from './step-walker.js';
import { hasStopped, type Walk, type WalkActivity } from './walk.js';
import { WaitTokens } from './waits/wait-tokens.js';
import { WaitingRoom } from './waits/waiting-room.js';

/** A run that was taken up so often without getting further kills its hosts: it ends instead. */
const MAX_TAKEOVERS_PER_ENTRY = 25;

/** Walks the steps of runs: branches side by side, each result durable before it is built upon. */
@Injectable()
export class RunWalker {
  private readonly logger = new Logger('execution');
  private readonly draining = new AbortController();
  private readonly payloads = createPayloadCache();

  constructor(
    @Inject(RUN_STORE) private readonly store: RunStore,
    private readonly steps: StepWalker,
    private readonly tokens: WaitTokens,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /** From now on no run begins another step or another attempt; each stops where it stands. */
  drain(): void {
    this.draining.abort();
  }

  /**
   * Walks one run until it finishes, somebody pauses it, its lease is lost, `signal` aborts or the
   * host drains.
   * @returns how it ended, durable; null when it has not
   * @throws what storage throws; the run can be leased again, if it is stored.
   */
  async walk({ run, signal, pausing = NEVER, activity }: WalkRequest): Promise<RunOutcome | null> {
    const ended = new AbortController();
    const anyEnd = AbortSignal.any([signal, ended.signal]);
    const quiet = new AbortController();
    const stopped = AbortSignal.any([anyEnd, this.draining.signal, pausing, quiet.signal]);
    const rest: Rest = { retryInMs: null, isDue: quiet.signal };
    const room = new WaitingRoom({
      ...{ clock: this.clock, stopped },
      settle: (places) =>
        withPatience(() => this.store.settleWaits(run.lease, places), {
          clock: this.clock,
          signal: anyEnd,
        }),
      onQuiet: ({ retryInMs }) => {
        rest.retryInMs = retryInMs;
        quiet.abort();
      },
    });
    const walk: Walk = {
      run,
      state: new RunState(
        run,
        (stepId, iteration) => this.tokens.urlOf({ ...run.lease, stepId, iteration }),
        this.payloads,
      ),
      journal: new JournalWriter(this.store, this.clock, run, anyEnd),
      inFlight: new Map(),
      room,
      signal: anyEnd,
      pausing,
      stopped,
      abort: () => {
        ended.abort();
      },
    };
    const { inFlight, journal } = walk;
    // What can't be stored has no end to come to, and who waits for it is told at once.
    journal.whenStored().catch(walk.abort);
    activity.isStored = () => journal.isStored;
    activity.whenStored = () => journal.whenStored();
    activity.isResting = () => room.isResting;
    activity.wake = () => {
      room.wake();
    };
    let failure: unknown;
    let outcome: RunOutcome | null = null;
    try {
      outcome = await this.walkSteps(walk, rest);
    } catch (error) {
      failure = error;
    }
    // Nothing of a run outlives its walk, however that ended.
    ended.abort(ENDED);
    await Promise.allSettled(inFlight.values());
    journal.close(failure);
    if (failure !== undefined) await this.endFailed(walk, failure);
    return outcome;
  }

  private async walkSteps(walk: Walk, rest: Rest): Promise<RunOutcome | null> {
    const { run, state, inFlight, journal, room } = walk;
    if (run.takeovers > MAX_TAKEOVERS_PER_ENTRY * (1 + run.journal.length)) {
      const taken = String(run.takeovers);
      await this.giveUp(run, 'engine.gave_up', `it was taken up ${taken} times without getting on`);
      return null;
    }
    for (const entry of state.takeRecovered()) await journal.add(entry);
    let isCutShort = false;
    let ended: PlanStep | null = null;
    for (;;) {
      // A step that was stopped without a result leaves the end of the run to whoever takes it up.
      const move = isCutShort ? null : state.nextMove();
      if (move?.kind === 'finish') {
        await journal.finish(move.outcome);
        return move.outcome;
      }
      for (const step of move === null || hasStopped(walk) ? [] : move.ready) {
        state.running.add(step.id);
        room.enter();
        inFlight.set(
          step.id,
          this.steps.walk(walk, step).then(() => step),
        );
      }
      // Not before those that come after it have begun: between the two nothing rests.
      if (ended) room.leave();
      if (state.isFailing) room.abandon(null);
      if (inFlight.size === 0) break;
      ended = await Promise.race(inFlight.values());
      inFlight.delete(ended.id);
      state.running.delete(ended.id);
      isCutShort ||= !state.results.has(ended.id);
    }
    if (walk.signal.aborted) await journal.flush();
    else if (walk.pausing.aborted) await journal.suspend();
    else if (rest.isDue.aborted) await journal.rest(rest.retryInMs);
    else await journal.flush();
    return null;
  }

  /** @throws what is neither a lost lease nor something that would fail for ever */
  private async endFailed({ run, journal }: Walk, failure: unknown): Promise<void> {
    if (failure instanceof LeaseLost) {
      const fields = { execution_id: run.lease.executionId };
      this.logger.log(fields, 'another host walks this run now, or it was cancelled');
    } else if (journal.isStored && isRefusedForItsContent(failure)) {
      await this.giveUp(run, 'engine.failed', `its journal can't be stored: ${messageOf(failure)}`);
    } else throw failure;
  }

  private async giveUp(run: LeasedRun, code: StepErrorCode, reason: string): Promise<void> {
    const error = { code, message: `this execution was given up: ${reason}`, retryable: false };
    await this.store.finish(run.lease, [], { status: 'error', output: null, error });
  }
}

/** Whether all of a run rests for long, and when the first of it is tried again. */
interface Rest {
  retryInMs: number | null;
  isDue: AbortSignal;
}

export interface WalkRequest {
  run: LeasedRun;
  /** Aborts when the run is no longer this host's. */
  signal: AbortSignal;
  /** Aborts when the run shall rest: what runs may end, nothing new begins, and then it is let go. */
  pausing?: AbortSignal;
  /** Kept up to date for as long as the walk lasts. */
  activity: WalkActivity;
}

const NEVER = new AbortController().signal;
/** Made once: what says where it was made costs more than the rest of the end. */
const ENDED = new DOMException('the walk has ended', 'AbortError');
