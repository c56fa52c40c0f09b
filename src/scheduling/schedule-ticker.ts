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

const TICK_MS = 1_000;
/** Without a tick that worked for this long, nobody may rely on this host. */
const MAX_SILENCE_MS = 5_000;
/** Schedules asked for at once; more are asked for as soon as these have fired. */
const BATCH = 200;
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
      const due = await this.database.query<DueRow>('select * from due_schedules($1)', [BATCH]);
      this.markGood();
      const { failures, started } = await this.fireAll(due);
      if (started > 0) this.dispatcher.takeUp();
      // What failed is still due, and must not keep the host busy until the next second.
      isFull = due.length === BATCH && failures === 0;
    }
  }

  private async fireAll(due: DueRow[]): Promise<{ started: number; failures: number }> {
    const rest = [...due];
    let started = 0;
    let failures = 0;
    const worker = async (): Promise<void> => {
      for (let row = rest.shift(); row && !this.stopping.signal.aborted; row = rest.shift()) {
        try {
          const queued = await this.firing.fireDue({
            tenantId: row.tenant_id,
            scheduleId: row.schedule_id,
            ownerId: row.owner_id,
            ownerRole: row.owner_role,
          });
          started += queued;
          this.markGood();
        } catch (error) {
          failures++;
          const fields = { err: error, schedule_id: row.schedule_id, tenant_id: row.tenant_id };
          this.logger.error(fields, 'a schedule could not fire; it is tried again each second');
        }
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, worker));
    return { started, failures };
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
