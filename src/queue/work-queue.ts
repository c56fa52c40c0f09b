import type { JsonObject } from '../common/json.js';

/**
 * Background work of the hosts, spread over all that have the role `worker`: each job is done by one of
 * them. The queue holds what is to be done and for whom, never what tenants store.
 */
export interface WorkQueue {
  /** Before the host starts, from `onModuleInit`. */
  register(task: WorkTask): void;
  /**
   * Adds a job; durable when it returns, or together with the transaction of `tx`.
   * @param job.key of jobs of one task that say the same, one waits: the newest; one that is being done
   *   isn't replaced but done again
   * @param job.runAt not before; default: now
   */
  add(job: NewJob, tx?: WorkQuery): Promise<void>;
  /** A task whose gate was shut may have opened: looks for jobs at once. */
  nudge(): void;
  /** Takes no more jobs, and returns when those under way have ended. */
  stop(): Promise<void>;
}

export interface WorkTask {
  /** Letters, digits and _; the same on all hosts. */
  name: string;
  /** Jobs of it that this host does at the same time. */
  concurrency: number;
  /** Whether this host has no room for one now; others may have. Default: it always has. */
  isFull?: () => boolean;
  /** Looked for while there was room, and none found. */
  onIdle?: () => void;
  /**
   * Does one job. May be called again for the same one: by another host while a stalled one goes on, and
   * after it threw, then later and later, at most 25 times. What must not get lost keeps
   * its own records.
   * @param signal aborted when the host stops and the job has had its time
   */
  run(payload: JsonObject, signal: AbortSignal): Promise<void>;
}

export interface NewJob {
  task: string;
  payload: JsonObject;
  key?: string;
  runAt?: Date;
}

/** A transaction, or the database. */
export interface WorkQuery {
  query(sql: string, params: unknown[]): Promise<unknown>;
}

export const WORK_QUEUE = Symbol('WorkQueue');
