import type { JsonObject, JsonValue } from '../common/json.js';
import type { ProviderResult, StepError } from '../common/provider-result.js';
import type { Visibility } from '../plans/plan.entity.js';
import type { Pins } from '../plans/pins.js';
import type { StepDefinition } from '../plans/rules/plan-definition.js';
import type { BlobHandle, EntryBlobs, HeldList } from './blobs/blob-handle.js';
import type { ExecutionStatus } from './execution-status.js';
import type { WaitStatus } from './waits/execution-wait.entity.js';
import type { WaitRequest } from './waits/wait-request.js';

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
  /** What `trigger` reads in references, its `body` the input where it has none; null: there is nothing to tell. */
  triggerData: JsonObject | null;
  input: JsonValue;
  idempotency: { key: string; requestHash: string } | null;
  /** The host that starts it at once; null puts it into the queue. */
  hostId: string | null;
  /** The execution that it repeats, all of it or from a step on. */
  originId: string | null;
  /** The execution one of whose steps runs this plan; null: none does. */
  parent: { executionId: string; depth: number } | null;
  /** What it need not do again: results that it begins with, stored together with it. */
  journal: JournalEntry[];
}

export type RunTrigger =
  'manual' | 'step' | 'replay' | 'fork' | 'schedule' | 'sub_plan' | 'webhook';

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
  triggerData: JsonObject | null;
  input: JsonValue;
  startedAt: Date;
  /** How many executions stand above it; the one right above, if there is one. */
  depth: number;
  parentId: string | null;
  journal: JournalEntry[];
  /** How often it was taken from a host that had died, since it was queued last. */
  takeovers: number;
  /** Failures that somebody asked to try again: the last attempt that doesn't count, by `attemptKey`. */
  forgiven: Readonly<Record<string, number>>;
  /**
   * What stores it, as long as nothing has: nobody was told of it yet, and nothing of it has had an
   * effect. Null: it is stored.
   */
  unstored: NewRun | null;
}

/** What a run has come to before it is stored. */
export interface Progress {
  entries: JournalEntry[];
  /** Null: it goes on. */
  end: RunOutcome | null;
  /** Since its walk began, at the time of the write. */
  ageMs: () => number;
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
  /** Of what was read from storage, where its input or output are too large to be read along. */
  blobs?: EntryBlobs;
} & (
  | { status: 'started'; input: JsonValue }
  /** It rests until what it waits for has happened. */
  | { status: 'waiting'; input: JsonValue; wait: OpenWait }
  | { status: 'skipped' }
  | {
      status: 'success' | 'error';
      input: JsonValue;
      result: ProviderResult;
      latencyMs: number;
      finishedAt: Date;
    }
);

/** What a place waits for; of a plan, the execution of it. */
export type OpenWait = Exclude<WaitRequest, { kind: 'plan' }> | PlanWait;

export type PlanWait = Extract<WaitRequest, { kind: 'plan' }> & { childId: string };

/** A place that waits. */
export type WaitPlaceKey = Pick<WaitState, 'stepId' | 'iteration'>;

/** How one wait of a run stands. */
export interface WaitState {
  stepId: string;
  iteration: number;
  /** Null: the step hasn't come there yet. */
  attempt: number | null;
  status: WaitStatus;
  /** What came from outside. */
  payload: JsonValue;
  /** Of the database's clock. */
  endedAt: Date | null;
  /** Until its time has come; null: it has none. */
  dueInMs: number | null;
  /** The execution that it waits for; null also as long as that isn't stored. */
  child: {
    id: string;
    status: ExecutionStatus;
    output: JsonValue;
    /** Where its output stands instead, when that is large. */
    outputBlob: string | null;
    error: StepError | null;
  } | null;
}

export type RunOutcome =
  | { status: 'success'; output: RunOutput }
  | { status: 'error'; output: RunOutput; error: StepError };

/** A value, or where it or its parts stand: in blobs of the run's steps. */
export type RunOutput = JsonValue | BlobHandle | HeldList;

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
  /** Stores a run, together with its idempotency key and with what it has come to since it began. */
  accept(run: NewRun, progress?: Progress): Promise<Accepted>;
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
   * Lets go of a run all of whose places rest, until the first of its waits or of its retries is due,
   * and appends what its journal still needs, in one write.
   * @throws LeaseLost
   */
  rest(lease: Lease, entries: JournalEntry[], retryInMs: number | null): Promise<void>;
  /** Large values that entries of the run stand for, by the ids of their handles. */
  readBlobs(lease: Lease, ids: readonly string[]): Promise<Map<string, JsonValue>>;
  /** Ends the waits of a run whose time has come, and tells how those of some places stand. @throws LeaseLost */
  settleWaits(lease: Lease, places: readonly WaitPlaceKey[]): Promise<WaitState[]>;
  /** Queues runs that wait and whose time has come. @returns how many */
  wakeDue(): Promise<number>;
  /**
   * A tenant's turn: leases its oldest queued runs, as many as its weight and its limits allow and at most
   * `places`.
   */
  claim(input: { hostId: string; tenantId: string; places: number }): Promise<Claimed>;
  /**
   * Leases up to `limit` runs whose host has died or let go of them, or that this host holds without
   * walking them (`held` are the ones it walks; null: it can't say just now).
   */
  takeOver(input: { hostId: string; limit: number; held: string[] | null }): Promise<LeasedRun[]>;
}

export interface Claimed {
  runs: LeasedRun[];
  /** Whether limits hold for the tenant: the end of one of these may let another begin. */
  isLimited: boolean;
}

export const RUN_STORE = Symbol('RunStore');
/** The database itself, also where RUN_STORE spools what can't be stored now. */
export const DIRECT_RUN_STORE = Symbol('DirectRunStore');
