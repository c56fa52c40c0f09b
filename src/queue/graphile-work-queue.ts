import { setTimeout as delay } from 'node:timers/promises';

import {
  Inject,
  Injectable,
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
} from '@nestjs/common';
import pg from 'pg';

import { APP_URL, poolOptions } from '../database/database.module.js';
import { Database } from '../database/database.js';
import { queueLogger } from './queue-logger.js';
import { countWorkers, QueueRun } from './queue-run.js';
import { ThisHost } from './this-host.js';
import type { NewJob, WorkQuery, WorkQueue, WorkTask } from './work-queue.js';

const RESTART_PAUSE_MS = 250;
/** Beyond one connection for each worker: to listen on, and one for what is completed meanwhile. */
const SPARE_CONNECTIONS = 2;
/** Set by the library when a newer one has changed the tables so that it can't go on. */
const OUTDATED_EXIT_CODE = 57;

/** graphile-worker, in the same PostgreSQL; brought back whenever the database was away. */
@Injectable()
export class GraphileWorkQueue
  implements WorkQueue, OnApplicationBootstrap, BeforeApplicationShutdown, OnApplicationShutdown
{
  private readonly logger = new Logger('work');
  private readonly tasks = new Map<string, WorkTask>();
  private stopping = false;
  private pool: pg.Pool | null = null;
  private run: QueueRun | null = null;
  private supervising: Promise<void> | null = null;
  /** Runs that failed and whose last jobs haven't ended. */
  private readonly failed = new Set<Promise<void>>();

  constructor(
    private readonly database: Database,
    private readonly host: ThisHost,
    @Inject(APP_URL) private readonly appUrl: string,
  ) {}

  register(task: WorkTask): void {
    if (this.supervising)
      throw new Error(`the task ${task.name} comes too late: the queue has begun`);
    if (this.tasks.has(task.name)) throw new Error(`the task ${task.name} is there already`);
    this.tasks.set(task.name, task);
  }

  async add(job: NewJob, tx: WorkQuery = this.database): Promise<void> {
    await tx.query('select from add_work($1, $2, $3, $4)', [
      job.task,
      JSON.stringify(job.payload),
      job.key ?? null,
      job.runAt ?? null,
    ]);
  }

  nudge(): void {
    this.run?.nudge();
  }

  onApplicationBootstrap(): void {
    if (!this.host.has('worker') || this.tasks.size === 0) return;
    this.pool = new pg.Pool({
      ...poolOptions(),
      connectionString: this.appUrl,
      application_name: 'stepwell queue',
      max: countWorkers(this.tasks) + SPARE_CONNECTIONS,
    });
    // Whoever uses a connection that broke is told by its own statement.
    this.pool.on('error', (error) => {
      this.logger.debug({ err: error }, 'a connection of the queue broke');
    });
    this.pool.on('connect', (client) => {
      client.on('error', (error) => {
        this.logger.debug({ err: error }, 'a connection of the queue broke');
      });
    });
    this.supervising = this.supervise(this.pool);
  }

  async stop(): Promise<void> {
    this.stopping = true;
    this.run?.end();
    await this.supervising;
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.stop();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.pool?.end();
  }

  /** Has one run after the other, and no more when the host stops. */
  private async supervise(pool: pg.Pool): Promise<void> {
    while (!this.isStopping()) {
      const run = new QueueRun({
        pool,
        tasks: this.tasks,
        logger: queueLogger(this.logger),
        introduce: (worker) => this.introduce(worker),
      });
      this.run = run;
      await run.failed;
      run.end();
      if (process.exitCode === OUTDATED_EXIT_CODE) {
        process.exitCode = undefined;
        this.logger.error(
          'a newer Stepwell has changed the queue: this host takes no more work; update it',
        );
        break;
      }
      if (this.isStopping()) break;
      this.logger.warn('the queue has lost the database; it is tried again until it is back');
      this.freeAfter(run);
      await this.untilDatabaseAnswers();
    }
    await Promise.all([this.run?.ended, ...this.failed]);
  }

  /** Jobs that a failed run goes on with are its own until they end; whatever it left is free then. */
  private freeAfter(run: QueueRun): void {
    const freed = run.ended
      .then(async () => {
        await this.untilDatabaseAnswers();
        await this.database.query('select free_jobs($1)', [[run.worker]]);
      })
      .catch((error: unknown) => {
        this.logger.error({ err: error }, 'jobs that the queue had taken could not be freed');
      })
      .finally(() => {
        this.failed.delete(freed);
      });
    this.failed.add(freed);
  }

  private async untilDatabaseAnswers(): Promise<void> {
    while (!this.isStopping()) {
      await delay(RESTART_PAUSE_MS);
      try {
        await this.database.query('select 1');
        return;
      } catch (error) {
        this.logger.debug({ err: error }, 'the database is still away');
      }
    }
  }

  private isStopping(): boolean {
    return this.stopping;
  }

  private async introduce(worker: string): Promise<void> {
    await this.database.query('select tend_work($1, $2, $3)', [
      this.host.id,
      this.host.roles,
      worker,
    ]);
  }
}
