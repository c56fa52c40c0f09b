import {
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleInit,
} from '@nestjs/common';

import { CLOCK, type Clock } from '../../common/clock.js';
import { DatabaseAwayError } from '../../common/connection-lost.js';
import { Database } from '../../database/database.js';
import { WORK_QUEUE, type WorkQueue } from '../../queue/work-queue.js';
import {
  dropWeek,
  expireExecutions,
  listExpiredWeeks,
  makeWeeks,
  sweepWeek,
} from './retention-sql.js';

const TASK = 'retention';
const PAUSE_MS = 60 * 60_000;
/** Something was in use, or went wrong, or there was too much for one job. */
const SHORT_PAUSE_MS = 60_000;
/** Then somebody else may go on. */
const MAX_JOB_MS = 10 * 60_000;

export interface RetentionSettings {
  /** For how many days executions are kept after their end, unless a tenant has its own; null: for ever. */
  logRetentionDays: number | null;
}

export const RETENTION_SETTINGS = Symbol('RetentionSettings');

export interface Retained {
  executions: number;
  /** Rows of the journal that were taken away one by one. */
  logs: number;
  /** Mondays of the weeks that were dropped as a whole. */
  weeks: string[];
  /** Nothing is left that has to go now. */
  isDone: boolean;
}

/**
 * Keeps the journal's partitions made ahead, and takes away executions that ended long enough ago: one
 * job of all hosts, each hour. Whatever it does may be done by two at once, and broken off at any time.
 */
@Injectable()
export class Retention implements OnModuleInit, OnApplicationBootstrap {
  private readonly logger = new Logger('retention');

  constructor(
    private readonly database: Database,
    @Inject(WORK_QUEUE) private readonly queue: WorkQueue,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(RETENTION_SETTINGS) private readonly settings: RetentionSettings,
  ) {}

  onModuleInit(): void {
    this.queue.register({ name: TASK, concurrency: 1, run: (_, signal) => this.doJob(signal) });
  }

  /** Before this host starts anything: it may be the first one for weeks. */
  async onApplicationBootstrap(): Promise<void> {
    try {
      await makeWeeks(this.database);
    } catch (error) {
      this.logger.warn({ err: error }, 'partitions of the journal are made later');
    }
    try {
      await this.plan(0);
    } catch (error) {
      this.logger.warn({ err: error }, 'retention is left to the hosts that start later');
    }
  }

  /**
   * Takes away what has to go.
   * @param signal breaks it off between two batches
   */
  async retain(signal: AbortSignal): Promise<Retained> {
    const deadline = this.clock.monotonic() + MAX_JOB_MS;
    const isOver = (): boolean => signal.aborted || this.clock.monotonic() > deadline;
    const retained: Retained = { executions: 0, logs: 0, weeks: [], isDone: true };
    const tenants = await this.database.query<{ id: string }>(
      'select tenants_to_expire($1) as id',
      [this.settings.logRetentionDays],
    );
    for (const { id } of tenants) {
      try {
        const { executions, logs } = await this.expireTenant(id, { isOver, signal });
        retained.executions += executions;
        retained.logs += logs;
      } catch (error) {
        if (error instanceof DatabaseAwayError) throw error;
        // What goes wrong with one tenant's must not keep all others' for ever.
        const fields = { err: error, tenant_id: id };
        this.logger.error(
          fields,
          'old executions could not be removed; it is tried again in a minute',
        );
        retained.isDone = false;
      }
    }
    for (const { week, isFree } of await this.listWeeks()) {
      if (isOver()) break;
      if (!isFree) {
        retained.logs += await this.sweep(week, { isOver, signal });
      } else if (await dropWeek(this.database, week, this.settings.logRetentionDays)) {
        retained.weeks.push(week);
        this.logger.log({ week }, 'a week of the journal was dropped');
      } else {
        retained.isDone = false;
      }
    }
    if (isOver()) retained.isDone = false;
    return retained;
  }

  private async doJob(signal: AbortSignal): Promise<void> {
    let isDone = false;
    try {
      await makeWeeks(this.database);
      isDone = (await this.retain(signal)).isDone;
    } catch (error) {
      this.logger.error({ err: error }, 'retention failed; it is tried again in a minute');
    }
    await this.plan(isDone ? PAUSE_MS : SHORT_PAUSE_MS);
  }

  private async plan(inMs: number): Promise<void> {
    const runAt = new Date(this.clock.now() + inMs);
    await this.queue.add({ task: TASK, payload: {}, key: TASK, ...(inMs > 0 && { runAt }) });
  }

  private async listWeeks(): Promise<{ week: string; isFree: boolean }[]> {
    return await listExpiredWeeks(this.database, this.settings.logRetentionDays);
  }

  private async expireTenant(
    tenantId: string,
    until: Until,
  ): Promise<Pick<Retained, 'executions' | 'logs'>> {
    const days = this.settings.logRetentionDays;
    const all = { executions: 0, logs: 0 };
    // Again from the start as long as something goes: what an execution ran goes after it.
    for (let before = -1; before < all.executions && !until.isOver();) {
      before = all.executions;
      for (let after: string | null = FIRST_ID; after !== null && !until.isOver();) {
        const begin = this.clock.monotonic();
        const batch = await expireExecutions(this.database, { tenantId, days, after });
        all.executions += batch.executions;
        all.logs += batch.logs;
        after = batch.lastId;
        await this.rest(begin, until);
      }
    }
    if (all.executions > 0) {
      this.logger.log({ tenant_id: tenantId, ...all }, 'old executions were removed');
    }
    return all;
  }

  /** What keeps a week from being dropped stays in it; the rest goes. */
  private async sweep(week: string, until: Until): Promise<number> {
    let all = 0;
    for (let swept = 1; swept > 0 && !until.isOver();) {
      const begin = this.clock.monotonic();
      swept = await sweepWeek(this.database, week, this.settings.logRetentionDays);
      all += swept;
      await this.rest(begin, until);
    }
    if (all > 0) this.logger.log({ week, logs: all }, 'old rows of the journal were removed');
    return all;
  }

  /** As long as the last batch took: half of the time is everybody else's. */
  private async rest(begin: number, { signal }: Until): Promise<void> {
    await this.clock.sleep(this.clock.monotonic() - begin, signal);
  }
}

const FIRST_ID = '00000000-0000-0000-0000-000000000000';

interface Until {
  isOver: () => boolean;
  signal: AbortSignal;
}
