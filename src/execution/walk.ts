import type { PlanStep } from '../plans/rules/plan-definition.js';
import type { JournalWriter } from './journal-writer.js';
import type { RunState } from './run-state.js';
import type { LeasedRun } from './run-store.js';

/** What can be seen of a walk from outside. */
export interface WalkActivity {
  /** Whether nothing runs: every step that has begun waits for its next attempt. */
  isResting: () => boolean;
}

/** One walk over one run: what its steps share. */
export interface Walk {
  readonly run: LeasedRun;
  readonly state: RunState;
  readonly journal: JournalWriter;
  /** Steps that have begun and have no result. */
  readonly inFlight: Map<string, Promise<PlanStep>>;
  /** Of those, the ones that wait for their next attempt. */
  readonly resting: Set<string>;
  /** The lease is gone, or the walk has ended: whatever runs is killed. */
  readonly signal: AbortSignal;
  /** The host stops: what runs may end, nothing new begins. */
  readonly draining: AbortSignal;
}

/** Nothing begins any more. */
export function hasStopped(walk: Walk): boolean {
  return walk.signal.aborted || walk.draining.aborted;
}
