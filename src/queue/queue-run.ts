import { EventEmitter } from 'node:events';

import { runTaskList, type Logger, type TaskList, type WorkerEvents } from 'graphile-worker';
import type pg from 'pg';

import { isJsonObject } from '../common/json.js';
import { QUEUE_SCHEMA } from '../database/queue-schema.js';
import { TaskGates } from './task-gates.js';
import { tolerantPool } from './tolerant-pool.js';
import { Turnstile } from './turnstile.js';
import type { WorkTask } from './work-queue.js';

/** NOTIFY wakes workers at once; this is for what it missed, and for jobs whose time comes. */
const POLL_INTERVAL_MS = 500;
/** Jobs that still run when the host stops hear of it after this time. */
const ABORT_AFTER_MS = 5_000;

export interface QueueRunOptions {
  pool: pg.Pool;
  tasks: ReadonlyMap<string, WorkTask>;
  logger: Logger;
  /** Tells the database under which name this run locks jobs; before it takes any. */
  introduce(worker: string): Promise<void>;
}

/**
 * One life of the library's pool of workers. It ends with the first thing that goes wrong between it and
 * the database: a statement whose answer was lost may have locked a job for it, so another run begins
 * under another name, and what this one held is freed.
 */
export class QueueRun {
  /** Under which it locks jobs. */
  readonly worker: string;
  /** Settles when it goes on no more, whether somebody ended it or it failed. */
  readonly failed: Promise<void>;
  /** Settles when its last job has ended, too. */
  readonly ended: Promise<void>;

  private readonly concurrency: number;
  private readonly gates: TaskGates;
  /** One fetch at a time: what may be taken is known only when the last one has told what it took. */
  private readonly fetching = new Turnstile();
  private readonly fail = Promise.withResolvers<undefined>();
  private readonly library: ReturnType<typeof runTaskList>;
  private isIntroduced = false;
  private isEnding = false;
  /** What the fetch under way may not take. */
  private shut: string[] = [];

  constructor(private readonly options: QueueRunOptions) {
    this.gates = new TaskGates(options.tasks);
    const events = this.listen();
    this.concurrency = countWorkers(options.tasks);
    this.library = runTaskList(
      {
        schema: QUEUE_SCHEMA,
        logger: options.logger,
        events,
        concurrency: this.concurrency,
        noHandleSignals: true,
        pollInterval: POLL_INTERVAL_MS,
        gracefulShutdownAbortTimeout: ABORT_AFTER_MS,
        forbiddenFlags: () => this.beginFetch(),
      },
      this.taskList(),
      tolerantPool(options.pool, (error) => {
        this.giveUp('the queue lost a statement', error);
      }),
    );
    this.worker = this.library.id;
    this.ended = this.library.promise.then(
      () => {
        this.fail.resolve(undefined);
      },
      (error: unknown) => {
        options.logger.error('the queue ended with an error', { error });
        this.fail.resolve(undefined);
      },
    );
    this.failed = this.fail.promise;
  }

  /** Idle workers look for jobs at once. */
  nudge(): void {
    if (!this.isEnding) this.library.nudge(this.concurrency);
  }

  /** Takes no more jobs; `ended` tells when those under way are done. */
  end(): void {
    if (this.isEnding) return;
    this.isEnding = true;
    Promise.resolve(this.library.gracefulShutdown()).catch((error: unknown) => {
      this.options.logger.error('the queue could not end in order', { error });
    });
  }

  private listen(): WorkerEvents {
    const events: WorkerEvents = new EventEmitter();
    events.on('job:start', ({ job }) => {
      this.gates.began(job.task_identifier);
      this.fetching.leave();
    });
    events.on('job:complete', ({ job }) => {
      this.gates.ended(job.task_identifier);
    });
    events.on('worker:getJob:empty', () => {
      const idle = [...this.options.tasks.values()].filter(({ name }) => !this.shut.includes(name));
      this.fetching.leave();
      for (const task of idle) task.onIdle?.();
    });
    events.on('worker:getJob:error', () => {
      this.fetching.leave();
      this.fail.resolve(undefined);
    });
    events.on('pool:gracefulShutdown', () => {
      this.isEnding = true;
      this.fail.resolve(undefined);
    });
    return events;
  }

  /** The names of what may not be fetched now; each job carries its task's as a flag. */
  private async beginFetch(): Promise<string[]> {
    await this.fetching.enter();
    try {
      if (!this.isIntroduced) await this.options.introduce(this.worker);
      this.isIntroduced = true;
    } catch (error) {
      this.giveUp('the queue could not begin', error);
    }
    const isOver = this.isEnding || !this.isIntroduced;
    this.shut = isOver ? [...this.options.tasks.keys()] : this.gates.listShut();
    return this.shut;
  }

  private giveUp(message: string, error: unknown): void {
    this.options.logger.debug(message, { error });
    this.fail.resolve(undefined);
  }

  private taskList(): TaskList {
    return Object.fromEntries(
      [...this.options.tasks.values()].map((task) => [
        task.name,
        async (payload, { abortSignal }) => {
          await task.run(isJsonObject(payload) ? payload : {}, abortSignal);
        },
      ]),
    );
  }
}

/** As many as there may be jobs at a time: no task takes a worker from another. */
export function countWorkers(tasks: ReadonlyMap<string, WorkTask>): number {
  return [...tasks.values()].reduce((sum, { concurrency }) => sum + concurrency, 0);
}
