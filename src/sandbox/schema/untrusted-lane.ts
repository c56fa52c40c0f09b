import { existsSync } from 'node:fs';

import { Piscina } from 'piscina';

import type { SchemaTask, SchemaTaskResult } from './worker.js';

export interface UntrustedLaneOptions {
  workerFile: string;
  /** For one compilation or one validation, from the moment when it starts. */
  deadlineMs: number;
}

export type RunTask = (task: SchemaTask) => Promise<SchemaTaskResult>;

export interface SchemaLane {
  /** Runs some tasks, one by one, with no other task between them. */
  run<T>(work: (runTask: RunTask) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** The thread was ended, because a task took too long or too much memory. */
export class TaskCut extends Error {
  override name = 'TaskCut';
}

const START_DEADLINE_MS = 10_000;
const IDLE_MS = 60_000;

/**
 * One thread for schemas that nobody vouches for. Tasks go one after the other, so that the time
 * of each is its own and not that of the queue; a task past its deadline ends with its thread, and
 * the next task gets a new one. The thread starts with the first task and ends when unused.
 */
export class UntrustedLane implements SchemaLane {
  readonly #options: UntrustedLaneOptions;
  #pool: Piscina<SchemaTask, SchemaTaskResult> | null = null;
  #isWarm = false;
  #isClosed = false;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: UntrustedLaneOptions) {
    this.#options = options;
  }

  /**
   * Runs some tasks, one by one, with no other task between them.
   * @throws TaskCut when a task took too long or too much memory
   * @throws Error when the thread's file isn't there, or the lane is closed
   */
  async run<T>(work: (runTask: RunTask) => Promise<T>): Promise<T> {
    const running = this.#last.then(() => work((task) => this.#runTask(task)));
    // The next in line waits for this one, however it ends.
    this.#last = running.catch(() => null);
    return running;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const pool = this.#pool;
    this.#pool = null;
    await pool?.destroy();
  }

  async #runTask(task: SchemaTask): Promise<SchemaTaskResult> {
    if (!this.#isWarm || this.#pool?.threads.length !== 1) {
      this.#isWarm = false;
      await this.#runWithin({ type: 'warm' }, START_DEADLINE_MS);
      this.#isWarm = true;
    }
    return this.#runWithin(task, this.#options.deadlineMs);
  }

  async #runWithin(task: SchemaTask, deadlineMs: number): Promise<SchemaTaskResult> {
    if (this.#isClosed) throw new Error('the schema validator is closed');
    const pool = (this.#pool ??= this.#makePool());
    const cutting = new AbortController();
    const timer = setTimeout(() => {
      cutting.abort();
    }, deadlineMs);
    try {
      return await pool.run(task, { signal: cutting.signal });
    } catch (error) {
      this.#isWarm = false;
      if (cutting.signal.aborted || isOutOfMemory(error)) throw new TaskCut();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  #makePool(): Piscina<SchemaTask, SchemaTaskResult> {
    const { workerFile } = this.#options;
    if (!existsSync(workerFile)) {
      throw new Error(`the schema worker is not built: ${workerFile} is missing`);
    }
    return new Piscina({
      filename: workerFile,
      minThreads: 0,
      maxThreads: 1,
      idleTimeout: IDLE_MS,
      concurrentTasksPerWorker: 1,
      env: {},
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 16, stackSizeMb: 4 },
    });
  }
}

function isOutOfMemory(error: unknown): boolean {
  return (
    typeof error === 'object' &&
    error !== null &&
    'code' in error &&
    error.code === 'ERR_WORKER_OUT_OF_MEMORY'
  );
}
