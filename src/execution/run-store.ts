import type { JsonValue } from '../common/json.js';
import type { ProviderResult, StepError } from '../common/provider-result.js';
import type { Visibility } from '../plans/plan.entity.js';
import type { Pins } from '../plans/pins.js';
import type { StepDefinition } from '../plans/rules/plan-definition.js';

/** What an execution walks: copied at its start, so that no later edit reaches it. */
export interface RunDefinition {
  steps: StepDefinition[];
  pins: Pins;
  /** Results that a single step was given for its references, by step id. */
  given?: Record<string, ProviderResult>;
}

export interface NewRun {
  id: string;
  tenantId: string;
  tenantName: string;
  /** The run-as user. */
  ownerId: string;
  planId: string | null;
  planVersion: number | null;
  definition: RunDefinition;
  visibility: Visibility;
  trigger: RunTrigger;
  input: JsonValue;
  idempotency: { key: string; requestHash: string } | null;
  /** The host that starts it at once; null puts it into the queue. */
  hostId: string | null;
  /** The execution that it repeats, all of it or from a step on. */
  originId: string | null;
  /** What it need not do again: results that it begins with, stored together with it. */
  journal: JournalEntry[];
}

export type RunTrigger = 'manual' | 'step' | 'replay' | 'fork' | 'schedule';

/** The right to write a run. Each takeover and each cancel raises the epoch and ends older leases. */
export interface Lease {
  tenantId: string;
  ownerId: string;
  executionId: string;
  hostId: string;
  epoch: number;
}

/** A run on this host, with what its journal holds. */
export interface LeasedRun {
  lease: Lease;
  tenantName: string;
  planId: string | null;
  planVersion: number | null;
  definition: RunDefinition;
  visibility: Visibility;
  input: JsonValue;
  startedAt: Date;
  journal: JournalEntry[];
  /** How often it was taken from a host that had died, since it was queued last. */
  takeovers: number;
  /** Failures that somebody asked to try again: the last attempt that doesn't count, by `attemptKey`. */
  forgiven: Readonly<Record<string, number>>;
}

/** The iteration of entries that concern a `for_each` step as a whole: its begin and its end. */
export const WHOLE_STEP = -1;

/** One place of a run: a step, or one iteration of it. */
export function attemptKey(place: Pick<JournalEntry, 'stepId' | 'iteration'>): string {
  return `${place.stepId}#${String(place.iteration)}`;
}

export type JournalEntry = {
  stepId: string;
  /** 0; of a step with `for_each` the place of an item in its list, or `WHOLE_STEP`. */
  iteration: number;
  provider: string;
  action: string;
  version: string;
  attempt: number;
  startedAt: Date;
} & (
  | { status: 'started'; input: JsonValue }
  | { status: 'skipped' }
  | {
      status: 'success' | 'error';
      input: JsonValue;
      result: ProviderResult;
      latencyMs: number;
      finishedAt: Date;
    }
);

export type RunOutcome =
  | { status: 'success'; output: JsonValue }
  | { status: 'error'; output: JsonValue; error: StepError };

export type Accepted =
  | { kind: 'new'; run: LeasedRun | null; executionId: string }
  /** The idempotency key was used before, for the same request. */
  | { kind: 'repeated'; executionId: string }
  | { kind: 'key_reused' };

/** The run belongs to another host now, or was cancelled: stop, and write nothing more. */
export class LeaseLost extends Error {
  constructor(readonly lease: Lease) {
    super(`the lease on execution ${lease.executionId} (epoch ${String(lease.epoch)}) is lost`);
    this.name = 'LeaseLost';
  }
}

/**
 * The seam of the engine: all that walking a run asks of storage. Each method returns after what it
 * was given is durable.
 */
export interface RunStore {
  /** Stores a run, together with its idempotency key. */
  accept(run: NewRun): Promise<Accepted>;
  /** Appends to the journal. An entry replaces the `started` one of the same attempt. @throws LeaseLost */
  checkpoint(lease: Lease, entries: JournalEntry[]): Promise<void>;
  /** Ends the run, and appends the entries that lead there, in one write. @throws LeaseLost */
  finish(lease: Lease, entries: JournalEntry[], outcome: RunOutcome): Promise<void>;
  /**
   * Lets go of a run that somebody paused, and appends what its journal still needs, in one write.
   * @throws LeaseLost
   */
  suspend(lease: Lease, entries: JournalEntry[]): Promise<void>;
  /**
   * Leases up to `limit` runs that wait in the queue, whose host has died, or that this host holds
   * without walking them (`held` are the ones it walks).
   */
  claim(input: { hostId: string; limit: number; held: string[] }): Promise<LeasedRun[]>;
}

export const RUN_STORE = Symbol('RunStore');
