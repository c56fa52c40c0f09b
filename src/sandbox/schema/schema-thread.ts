import { existsSync } from 'node:fs';
import type { Worker } from 'node:worker_threads';

import { Piscina } from 'piscina';

import type { SchemaTask, SchemaTaskResult } from './worker.js';

export interface SchemaThreadOptions {
  workerFile: string;
  /** CPU time for one task, milliseconds: a busy machine doesn't make a schema costly. */
  cpuMs: number;
  /** Wall time for one task, milliseconds: the net below the CPU time. */
  wallMs: number;
}

/** The thread was ended, because a task took too much of something. */
export class TaskCut extends Error {
  override name = 'TaskCut';

  constructor(readonly of: 'cpu' | 'memory') {
    super(`a schema task took too much ${of}`);
  }
}

/** A task was given up, or never begun, for reasons that say nothing of its schema. */
export class LaneUnavailable extends Error {
  override name = 'LaneUnavailable';
}

/**
 * One thread, one task at a time. A task past its CPU time ends with its thread, and the next one
 * gets a new thread. It starts with the first task and ends when unused.
 */
export class SchemaThread {
  readonly #options: SchemaThreadOptions;
  #pool: Piscina<SchemaTask, SchemaTaskResult> | null = null;
  #isWarm = false;
  #isUsed = false;
  #isClosed = false;

  constructor(options: SchemaThreadOptions) {
    this.#options = options;
  }

  /** Whether the thread has run tasks already, and keeps what they left. */
  get isUsed(): boolean {
    return this.#isUsed;
  }

  /**
   * @throws TaskCut when the task took too much CPU time or memory
   * @throws LaneUnavailable when it took too much wall time, or no thread came up in time
   * @throws Error when the thread's file isn't there, or the thread is closed
   */
  async run(task: SchemaTask): Promise<SchemaTaskResult> {
    const { cpuMs, wallMs } = this.#options;
    if (!this.#isWarm || this.#pool?.threads.length !== 1) {
      this.#isWarm = false;
      await this.#runWithin({ type: 'warm' }, { cpuMs: Infinity, wallMs: START_MS });
      this.#isWarm = true;
      this.#isUsed = false;
    }
    const result = await this.#runWithin(task, { cpuMs, wallMs });
    this.#isUsed = true;
    return result;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const pool = this.#pool;
    this.#pool = null;
    await pool?.destroy();
  }

  async #runWithin(
    task: SchemaTask,
    limits: { cpuMs: number; wallMs: number },
  ): Promise<SchemaTaskResult> {
    if (this.#isClosed) throw new Error('the schema validator is closed');
    const pool = (this.#pool ??= this.#makePool());
    const cutting = new AbortController();
    const stopWatch = watch(pool, limits, (reason) => {
      cutting.abort(reason);
    });
    try {
      return await pool.run(task, { signal: cutting.signal });
    } catch (error) {
      this.#isWarm = false;
      if (cutting.signal.aborted) throw cutting.signal.reason as Error;
      if (isOutOfMemory(error)) throw new TaskCut('memory');
      throw error;
    } finally {
      stopWatch();
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
      // A thread that sleeps in Atomics.wait doesn't say how much CPU time it has used.
      atomics: 'disabled',
      env: {},
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 16, stackSizeMb: 4 },
    });
  }
}

const START_MS = 10_000;
const IDLE_MS = 60_000;
const LOOK_MS = 25;

/**
 * Looks every 25 ms at the CPU time that the thread has used since the first look; shorter tasks
 * cost no look at all. The reading interrupts a loop; should it not come back, wall time decides.
 */
function watch(
  pool: Piscina<SchemaTask, SchemaTaskResult>,
  { cpuMs, wallMs }: { cpuMs: number; wallMs: number },
  cut: (reason: Error) => void,
): () => void {
  const until = performance.now() + wallMs;
  let isOverdue = false;
  let baseMs: number | null = null;
  let isReading = false;
  const look = async (thread: Worker): Promise<void> => {
    isReading = true;
    const usedMs = await readCpuMs(thread);
    isReading = false;
    if (usedMs === null) return;
    baseMs ??= usedMs;
    if (usedMs - baseMs > cpuMs) cut(new TaskCut('cpu'));
  };
  const timer = setInterval(() => {
    const [thread] = pool.threads;
    // The second look past the time: the answer may lie here, if it was this thread that was held up.
    if (isOverdue) cut(new LaneUnavailable('the check was not done in time'));
    isOverdue = performance.now() > until;
    if (thread !== undefined && !isReading) void look(thread);
  }, LOOK_MS);
  return () => {
    clearInterval(timer);
  };
}

async function readCpuMs(thread: Worker): Promise<number | null> {
  try {
    const { user, system } = await thread.cpuUsage();
    return (user + system) / 1000;
  } catch {
    return null; // It has ended.
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
