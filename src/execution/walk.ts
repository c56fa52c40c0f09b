import type { Scope } from '../common/expression/read-path.js';
import type { PlanStep } from '../plans/rules/plan-definition.js';
import type { JournalWriter } from './journal-writer.js';
import type { RunState } from './run-state.js';
import type { LeasedRun } from './run-store.js';
import type { WaitingRoom } from './waits/waiting-room.js';

/** What can be seen of a walk from outside. */
export interface WalkActivity {
  /** Whether nothing runs: all that has begun waits, for its next attempt or for something outside. */
  isResting: () => boolean;
  /** Tells it that something may have happened that one of its places waits for. */
  wake: () => void;
  /** Whether the run is stored: nobody else knows of it before. */
  isStored: () => boolean;
  /** Resolves when it is. @throws what kept it from being stored */
  whenStored: () => Promise<void>;
}

/** Of a walk that has not begun yet. */
export function restlessActivity({ isStored = true } = {}): WalkActivity {
  return {
    isResting: () => false,
    wake: () => undefined,
    isStored: () => isStored,
    whenStored: () => Promise.resolve(),
  };
}

/** What has attempts of its own: a step, or one item of its `for_each`. */
export interface Place {
  readonly step: PlanStep;
  /** 0, or the place of the item in its list. */
  readonly iteration: number;
  /** What its references lead to. */
  readonly scope: Scope;
}

/** One walk over one run: what its steps share. */
export interface Walk {
  readonly run: LeasedRun;
  readonly state: RunState;
  readonly journal: JournalWriter;
  /** Steps that have begun and have no result. */
  readonly inFlight: Map<string, Promise<PlanStep>>;
  /** Where places rest that wait for their next attempt, or for something outside. */
  readonly room: WaitingRoom;
  /** The lease is gone, or the walk has ended: whatever runs is killed. */
  readonly signal: AbortSignal;
  /** Somebody paused the run: when what runs has ended, it is let go. */
  readonly pausing: AbortSignal;
  /** Any of that, or all of it rests for long, or the host stops: what runs may end, nothing new begins. */
  readonly stopped: AbortSignal;
  /** Ends the walk: for who can't go on while others still run. */
  readonly abort: () => void;
}

/** Nothing begins any more. */
export function hasStopped(walk: Walk): boolean {
  return walk.stopped.aborted;
}

/** What an `integer` of the journal holds, about 24 days. */
const MAX_LATENCY_MS = 2_147_483_647;

/** How long something took that may have gone on over several walks, on several hosts. */
export function latencySince(startedAt: Date, now: number): number {
  return Math.min(MAX_LATENCY_MS, Math.max(0, now - startedAt.getTime()));
}

/** What all entries of one attempt say; `attempt` 0 is none. */
export function entryHead(
  { run }: Pick<Walk, 'run'>,
  { step, iteration }: Pick<Place, 'step' | 'iteration'>,
  { attempt, now }: { attempt: number; now: number },
) {
  return {
    stepId: step.id,
    iteration,
    provider: step.provider,
    action: step.action,
    version: run.definition.pins[step.id]?.version ?? '',
    attempt,
    startedAt: new Date(now),
  };
}
