import {
  Inject,
  Injectable,
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';

import { CLOCK, type Clock } from '../common/clock.js';
import type { Role } from '../common/ctx.js';
import { messageOf } from '../common/errors.js';
import { Database } from '../database/database.js';
import { RunDispatcher } from '../execution/run-dispatcher.js';
import { ThisHost } from '../queue/this-host.js';
import { ScheduleFiring } from './schedule-firing.js';
import type { FiringSchedule } from './scheduled-run.js';
import { SimpleFires } from './simple-fires.js';

const TICK_MS = 1_000;
/** Without a tick that worked for this long, nobody may rely on this host. */
const MAX_SILENCE_MS = 5_000;
/** Schedules asked for at once; more are asked for as soon as these have fired. */
const BATCH = 1_000;
/** Of these, so many fire in one transaction, if each of them can. */
const PART = 200;
/** Transactions side by side: a full hour must not take all connections from requests. */
const CONCURRENCY = 4;

export interface SchedulerHealth {
  isActive: boolean;
  /** Why it isn't; null when it is. */
  reason: string | null;
}

/**
 * Asks every second which schedules are due, and fires them. No schedule lives in memory: any number
 * of hosts ask the same, and the rows decide.
 */
@Injectable()
export class ScheduleTicker implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger('scheduling');
  private readonly stopping = new AbortController();
  private running: Promise<void> | null = null;
  /** Of the monotonic clock. */
  private lastGoodAt: number | null = null;
  private lastFailure: string | null = null;
  private readonly asked = Promise.withResolvers<undefined>();

  constructor(
    private readonly database: Database,
    private readonly simple: SimpleFires,
    private readonly firing: ScheduleFiring,
    private readonly dispatcher: RunDispatcher,
    private readonly host: ThisHost,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /** Returns when the first tick has asked, or failed to: a host that is ready says what is true. */
  async onApplicationBootstrap(): Promise<void> {
    if (!this.host.has('scheduler')) return;
    this.running = this.run();
    await this.asked.promise;
  }

  /** Before connections close: what fires now is stored, and nothing more begins. */
  async beforeApplicationShutdown(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  /** Whether schedules fire: here, or on some other live host when this one isn't there for it. */
  async checkHealth(): Promise<SchedulerHealth> {
    if (this.host.has('scheduler')) return this.health();
    try {
      const [row] = await this.database.query<{ ticks: boolean }>(
        'select is_scheduler_ticking() as ticks',
      );
      if (row?.ticks === true) return { isActive: true, reason: null };
      return { isActive: false, reason: 'no live host with the role scheduler ticks' };
    } catch (error) {
      return { isActive: false, reason: `other hosts can't be asked: ${messageOf(error)}` };
    }
  }

  /** Whether this host really ticks. */
  health(): SchedulerHealth {
    if (this.stopping.signal.aborted) return { isActive: false, reason: 'the host stops' };
    const failure = this.lastFailure === null ? '' : `: ${this.lastFailure}`;
    if (this.lastGoodAt === null) return { isActive: false, reason: `no tick yet${failure}` };
    const silentMs = this.clock.monotonic() - this.lastGoodAt;
    if (silentMs <= MAX_SILENCE_MS) return { isActive: true, reason: null };
    const seconds = String(Math.round(silentMs / 1000));
    return { isActive: false, reason: `no tick worked for ${seconds} s${failure}` };
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      const startedAt = this.clock.monotonic();
      try {
        await this.tick();
        await this.database.query('select say_ticked($1)', [this.host.id]);
      } catch (error) {
        this.lastFailure = messageOf(error);
        this.asked.resolve(undefined);
        this.logger.error({ err: error }, 'a tick failed; it is tried again each second');
      }
      const tookMs = this.clock.monotonic() - startedAt;
      await this.clock.sleep(Math.max(0, TICK_MS - tookMs), signal);
    }
  }

  private async tick(): Promise<void> {
    for (let isFull = true; isFull && !this.stopping.signal.aborted;) {
      const rows = await this.database.query<DueRow>('select * from due_schedules($1)', [BATCH]);
      this.markGood();
      const { failures, started, looked } = await this.fireAll(rows.map(toFiring));
      if (started > 0) this.dispatcher.takeUp();
      // What failed is still due, and what another host fires just now may be; neither must keep this one
      // busy until the next second.
      isFull = rows.length === BATCH && failures === 0 && started + looked > 0;
    }
  }

  /** Most fire together; each of the others is looked at by itself. */
  private async fireAll(
    due: FiringSchedule[],
  ): Promise<{ started: number; looked: number; failures: number }> {
    const rest: FiringSchedule[] = [];
    let started = 0;
    let failures = 0;
    await this.forEach(toParts(due), async (part) => {
      try {
        const fired = await this.simple.fire(part);
        started += fired.started;
        rest.push(...fired.rest);
        this.markGood();
      } catch (error) {
        rest.push(...part);
        this.logger.warn({ err: error }, 'schedules could not fire together; each fires by itself');
      }
    });
    await this.forEach(rest, async (one) => {
      try {
        started += await this.firing.fireDue(one);
        this.markGood();
      } catch (error) {
        failures++;
        const fields = { err: error, schedule_id: one.scheduleId, tenant_id: one.tenantId };
        this.logger.error(fields, 'a schedule could not fire; it is tried again each second');
      }
    });
    return { started, looked: rest.length, failures };
  }

  /** In order, a few at a time, until the host stops. */
  private async forEach<T>(items: T[], work: (item: T) => Promise<void>): Promise<void> {
    const left = items.values();
    const worker = async (): Promise<void> => {
      for (const item of left) {
        if (this.stopping.signal.aborted) return;
        await work(item);
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  }

  private markGood(): void {
    this.lastGoodAt = this.clock.monotonic();
    this.asked.resolve(undefined);
    this.lastFailure = null;
  }
}

interface DueRow {
  tenant_id: string;
  schedule_id: string;
  owner_id: string;
  owner_role: Role;
}

function toFiring(row: DueRow): FiringSchedule {
  return {
    tenantId: row.tenant_id,
    scheduleId: row.schedule_id,
    ownerId: row.owner_id,
    ownerRole: row.owner_role,
  };
}

function toParts(due: FiringSchedule[]): FiringSchedule[][] {
  return Array.from({ length: Math.ceil(due.length / PART) }, (_, at) =>
    due.slice(at * PART, (at + 1) * PART),
  );
}
