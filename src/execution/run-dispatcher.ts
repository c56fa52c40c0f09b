import {
  Inject,
  Injectable,
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';

import { CLOCK, type Clock } from '../common/clock.js';
import { oneAtATime } from '../common/one-at-a-time.js';
import { Database } from '../database/database.js';
import { ThisHost } from '../queue/this-host.js';
import { WORK_QUEUE, type WorkQueue } from '../queue/work-queue.js';
import { ExecutionSettings } from './execution-settings.js';
import { HostPlaces } from './host-places.js';
import { RUN_STORE, type LeasedRun, type RunOutcome, type RunStore } from './run-store.js';
import { RunWalker } from './run-walker.js';
import { restlessActivity } from './walk.js';
import { WalkingRuns, type WalkingRun } from './walking-runs.js';

/** Between two signs of life, and what hosts see to for each other. */
const TICK_MS = 1_000;
/** Between two looks for the runs of hosts that have died. */
const LOOK_MS = 500;
/** Where one claim follows another, they stop for a moment after so many looks: lost runs are looked for. */
const MAX_UNSURE_LOOKS = 60;

/** A run that is being walked here. */
export interface Launched {
  /** Resolves when this host stops walking it: to how it ended, durable; null when it has not. */
  ended: Promise<RunOutcome | null>;
  /** Resolves when the run itself is durable. @throws what kept it from being stored */
  whenStored: () => Promise<void>;
}

/**
 * The runs that this host holds: starts them, says each second that the host lives, takes over the
 * runs of hosts that don't, and lets go in order when the host stops.
 */
@Injectable()
export class RunDispatcher implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger('execution');
  private readonly walking = new WalkingRuns();
  private readonly places: HostPlaces;
  /** The host is known to the others: what it holds is its own. */
  private readonly known = Promise.withResolvers<undefined>();
  private timers: NodeJS.Timeout[] = [];
  private readonly warn = (error: unknown): void => {
    const message = 'what other hosts left is not seen to; it is tried again each second';
    this.logger.error({ err: error }, message);
  };
  /** Says that this host lives, on a connection of its own: no load may keep it from that. */
  private readonly sayAlive = oneAtATime(
    () => this.sayAliveOnce(),
    (error) => {
      this.logger.error({ err: error }, 'the heartbeat failed; it is tried again each second');
    },
  );
  private readonly takeOver = oneAtATime(() => this.takeOverOnce(), this.warn);
  /** What hosts see to for each other. */
  private readonly tend = oneAtATime(() => this.tendOnce(), this.warn);
  /** While it looks for runs of its own that it walks no more, too. */
  private takingOver: Promise<unknown> | null = null;
  /** Looks in a row that could not. */
  private unsureLooks = 0;
  private isKnown = false;
  private stopping = false;

  constructor(
    @Inject(RUN_STORE) private readonly store: RunStore,
    private readonly database: Database,
    private readonly walker: RunWalker,
    private readonly settings: ExecutionSettings,
    private readonly host: ThisHost,
    @Inject(WORK_QUEUE) private readonly queue: WorkQueue,
    @Inject(CLOCK) clock: Clock,
  ) {
    this.places = new HostPlaces(settings.maxRunningExecutions, clock);
  }

  get hostId(): string {
    return this.host.id;
  }

  async onApplicationBootstrap(): Promise<void> {
    await this.sayAlive();
    this.isKnown = true;
    this.known.resolve(undefined);
    await this.takeOver();
    await this.tend();
    this.timers = [
      setInterval(() => void this.takeOver(), LOOK_MS),
      setInterval(() => {
        void this.sayAlive();
        void this.tend();
      }, TICK_MS),
    ];
  }

  /**
   * A place for one more run on this host, held until `launch` or `release`; null when the run has to
   * queue: all are taken, others come first, or this host walks none.
   */
  reserve(run: { executionId: string; tenantId: string }): string | null {
    if (this.stopping || !this.isKnown || !this.host.has('worker')) return null;
    return this.places.reserve(run, this.walking) ? this.hostId : null;
  }

  release(executionId: string): void {
    this.places.release(executionId);
  }

  /** Whether no claim may begin now: no place is free, or the host stops, or it looks for lost runs first. */
  isFull(): boolean {
    return (
      this.stopping || this.unsureLooks >= MAX_UNSURE_LOOKS || this.places.isFull(this.walking)
    );
  }

  /** The queue was asked while there was room, and has nothing. */
  settleWithQueue(): void {
    this.places.settleWithQueue();
  }

  /** Holds places for a claim of a tenant's while `claim` decides what to do with them; 0: there are none. */
  async withPlaces(tenantId: string, claim: (places: number) => Promise<void>): Promise<void> {
    const places = this.stopping ? 0 : this.places.beginClaim(tenantId, this.walking);
    try {
      await this.known.promise;
      await this.takingOver?.catch(() => undefined);
      await claim(places);
    } finally {
      this.places.endClaim(places);
      if (this.places.owesQueue) this.queue.nudge();
    }
  }

  /** Walks a run that this host holds the lease of, or is about to store. */
  launch(run: LeasedRun): Launched {
    const id = run.lease.executionId;
    const abort = new AbortController();
    const pause = new AbortController();
    const activity = restlessActivity({ isStored: run.unstored === null });
    const ended = this.walker
      .walk({ run, signal: abort.signal, pausing: pause.signal, activity })
      .catch((error: unknown) => {
        // Whoever started it is told, by whenStored.
        if (!activity.isStored()) return null;
        // The run stays ours in the table and unwalked here: a later claim leases it anew.
        this.logger.error(
          { err: error, execution_id: id },
          'a run stopped unexpectedly; it will be taken up again',
        );
        return null;
      })
      .finally(() => {
        this.walking.remove(id, walking);
        // Who waits for it may be walked here, too.
        if (run.parentId !== null) this.wake(run.parentId);
        // Whoever took the request back meanwhile left the run to whoever takes it.
        if (pause.signal.aborted) void this.takeOver();
        if (this.places.owesQueue) this.queue.nudge();
      });
    const walking: WalkingRun = { tenantId: run.lease.tenantId, abort, pause, activity, ended };
    this.walking.add(id, walking);
    this.places.release(id);
    return { ended, whenStored: () => activity.whenStored() };
  }

  /** Stops walking a run whose lease is gone. */
  abort(executionId: string): void {
    this.walking.find(executionId)?.abort.abort();
  }

  /** Stops at the next step a run that somebody asked to pause; another host hears of it by its heartbeat. */
  pause(executionId: string): void {
    this.walking.find(executionId)?.pause.abort();
  }

  /** Something may have happened that a run waits for; another host hears of it by its heartbeat. */
  wake(executionId: string): void {
    this.walking.find(executionId)?.activity.wake();
  }

  /** Takes up what was queued just now, if this host has room. */
  takeUp(): void {
    this.queue.nudge();
  }

  /** Resolves when this host stops walking a run; null when it doesn't walk it. */
  whenEnded(executionId: string): Promise<RunOutcome | null> | null {
    return this.walking.find(executionId)?.ended ?? null;
  }

  /** Resolves when this host begins to walk a run, or when `until` does. */
  async whenBegun(executionId: string, until: Promise<unknown>): Promise<void> {
    await this.walking.whenBegun(executionId, until);
  }

  /** Whether any live host walks executions; without one they stay queued. */
  async isWorkerAlive(): Promise<boolean> {
    if (this.host.has('worker')) return true;
    const [row] = await this.database.query<{ lives: boolean }>(
      'select is_worker_alive() as lives',
    );
    return row?.lives === true;
  }

  get isStopping(): boolean {
    return this.stopping;
  }

  get runningCount(): number {
    return this.walking.size;
  }

  /** Before connections close: no new runs; those under way get a while to finish. */
  async beforeApplicationShutdown(): Promise<void> {
    this.stopping = true;
    for (const timer of this.timers) clearInterval(timer);
    this.walker.drain();
    await Promise.all([this.queue.stop(), this.takeOver(), this.tend()]);
    const runs = this.walking.all;
    const grace = setTimeout(() => {
      for (const run of runs) run.abort.abort();
    }, this.settings.drainMs);
    await Promise.all(runs.map((run) => run.ended));
    clearTimeout(grace);
    await this.sayAlive();
    // What couldn't finish is free at once for the next host.
    await this.database.query('select remove_host($1)', [this.hostId]);
  }

  private async sayAliveOnce(): Promise<void> {
    // That is said once for all.
    if (this.database.isAway) return;
    // Of these walks it is told, not of what may be walked by the time of the answer.
    const walked = this.walking.stored;
    const told = await this.database.queryReserved<{
      execution_id: string;
      reason: 'lost' | 'pause' | 'woken';
    }>('select * from heartbeat($1, $2)', [this.hostId, [...walked.keys()]]);
    for (const { execution_id: id, reason } of told) {
      const run = walked.get(id);
      if (reason === 'woken') run?.activity.wake();
      else (reason === 'lost' ? run?.abort : run?.pause)?.abort();
    }
  }

  private async tendOnce(): Promise<void> {
    if (this.stopping || this.database.isAway) return;
    await this.database.query('select tend_work($1, $2, null)', [this.hostId, this.host.roles]);
    // Runs whose time has come go back into the queue, whichever host walked them before.
    await this.store.wakeDue();
  }

  /** Takes over what the dead left. */
  private async takeOverOnce(): Promise<void> {
    const limit = this.places.countFree(this.walking);
    if (this.stopping || limit <= 0 || !this.host.has('worker') || this.database.isAway) return;
    // A claim under way may have leased runs that nobody walks yet; they are no lost ones of this host.
    const isSure = !this.places.isClaiming;
    const held = isSure ? [...this.walking.ids, ...this.places.reservedIds] : null;
    const taking = this.store.takeOver({ hostId: this.hostId, limit, held });
    if (isSure) this.takingOver = taking;
    this.unsureLooks = isSure ? 0 : this.unsureLooks + 1;
    try {
      for (const run of await taking) this.launch(run);
    } finally {
      this.takingOver = null;
    }
  }
}
