import { FairQueue } from '../fair-queue.js';
import { LaneUnavailable, SchemaThread, TaskCut } from './schema-thread.js';
import type { SchemaThreadOptions } from './schema-thread.js';
import type { SchemaTask, SchemaTaskResult } from './worker.js';

export interface UntrustedLaneOptions extends SchemaThreadOptions {
  /** Turns of one tenant that may wait; more are refused. */
  maxWaitingPerTenant: number;
}

export interface LaneTurn {
  tenantId: string;
  /** Takes the turn back while it waits. */
  signal?: AbortSignal;
}

export type RunTask = (task: SchemaTask) => Promise<SchemaTaskResult>;

export interface SchemaLane {
  /**
   * Runs some tasks, one by one, with no other task between them. The work may be begun once more.
   * @throws LaneUnavailable, TaskCut
   */
  run<T>(turn: LaneTurn, work: (runTask: RunTask) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/**
 * The one thread for schemas that nobody vouches for. Turns go one after the other, by the time
 * that each tenant has used: whatever one tenant asks, the next of another waits for one turn of it.
 */
export class UntrustedLane implements SchemaLane {
  readonly #thread: SchemaThread;
  readonly #maxWaitingPerTenant: number;
  readonly #queue = new FairQueue<Waiting>();
  #isServing = false;
  #isClosed = false;

  constructor(options: UntrustedLaneOptions) {
    this.#thread = new SchemaThread(options);
    this.#maxWaitingPerTenant = options.maxWaitingPerTenant;
  }

  /**
   * Runs some tasks, one by one, with no other task between them.
   * @throws TaskCut when a task took too much CPU time or memory
   * @throws LaneUnavailable when too many of the tenant wait, the signal aborts, or the machine is slow
   * @throws Error when the thread's file isn't there, or the lane is closed
   */
  async run<T>(turn: LaneTurn, work: (runTask: RunTask) => Promise<T>): Promise<T> {
    await this.#myTurn(turn);
    const since = performance.now();
    try {
      return await this.#runTurn(turn, work);
    } finally {
      this.#queue.charge(turn.tenantId, performance.now() - since);
      this.#isServing = false;
      this.#serve();
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const waiting of this.#queue.drain()) waiting.refuse(new Error(CLOSED));
    await this.#thread.close();
  }

  async #runTurn<T>({ signal }: LaneTurn, work: (runTask: RunTask) => Promise<T>): Promise<T> {
    const runTask: RunTask = async (task) => {
      if (signal?.aborted === true) throw new LaneUnavailable(GIVEN_UP);
      return this.#thread.run(task);
    };
    const { isUsed } = this.#thread;
    try {
      return await work(runTask);
    } catch (error) {
      // The memory may be what others have left in the thread: once more, in one that is new.
      if (isUsed && error instanceof TaskCut && error.of === 'memory') return work(runTask);
      throw error;
    }
  }

  /** Settles when no other turn is on; whoever asked has the thread then. */
  #myTurn({ tenantId, signal }: LaneTurn): Promise<void> {
    if (this.#isClosed) throw new Error(CLOSED);
    if (signal?.aborted === true) throw new LaneUnavailable(GIVEN_UP);
    if (this.#queue.waitingOf(tenantId) >= this.#maxWaitingPerTenant) {
      throw new LaneUnavailable('too many checks of this tenant wait already');
    }
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        if (this.#queue.remove(tenantId, waiting)) reject(new LaneUnavailable(GIVEN_UP));
      };
      const waiting: Waiting = {
        begin: () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
        refuse: (error) => {
          signal?.removeEventListener('abort', onAbort);
          reject(error);
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#queue.push(tenantId, waiting);
      this.#serve();
    });
  }

  #serve(): void {
    if (this.#isServing) return;
    const next = this.#queue.take(() => true);
    if (next === undefined) return;
    this.#isServing = true;
    next.item.begin();
  }
}

interface Waiting {
  begin(): void;
  refuse(error: Error): void;
}

const CLOSED = 'the schema validator is closed';
const GIVEN_UP = 'the check was given up before it was done';
