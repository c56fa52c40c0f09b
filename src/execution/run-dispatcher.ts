import {
  Inject,
  Injectable,
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';

import { newId } from '../common/ids.js';
import { Database } from '../database/database.js';
import { ExecutionSettings } from './execution-settings.js';
import { RUN_STORE, type LeasedRun, type RunStore } from './run-store.js';
import { RunWalker } from './run-walker.js';
import type { WalkActivity } from './walk.js';

const TICK_MS = 1_000;

interface WalkingRun {
  /** Kills it: the run is no longer this host's. */
  abort: AbortController;
  /** Lets what runs of it end, and nothing new begin. */
  pause: AbortController;
  activity: WalkActivity;
  ended: Promise<void>;
}

/** Runs that only wait for their next attempt take no place, up to this many times the places. */
const RESTING_FACTOR = 10;

/**
 * The runs that this host holds: starts them, says each second that the host lives, takes over the
 * runs of hosts that don't, and lets go in order when the host stops.
 */
@Injectable()
export class RunDispatcher implements OnApplicationBootstrap, BeforeApplicationShutdown {
  /** Of this process: a restarted host is another one, which is how its lost runs are told. */
  readonly hostId = newId();

  private readonly logger = new Logger('execution');
  private readonly walking = new Map<string, WalkingRun>();
  /** Runs being stored: held, though not walked yet. */
  private readonly reserved = new Set<string>();
  /** Places that a claim under way may fill. */
  private claiming = 0;
  /** Whether the queue may hold runs that this host has room for. */
  private mayHaveQueued = true;
  private timer: NodeJS.Timeout | undefined;
  private beat: Promise<void> | null = null;
  private claim: Promise<void> | null = null;
  private stopping = false;

  constructor(
    @Inject(RUN_STORE) private readonly store: RunStore,
    private readonly database: Database,
    private readonly walker: RunWalker,
    private readonly settings: ExecutionSettings,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    await this.sayAlive();
    await this.claimRuns();
    this.timer = setInterval(() => {
      void this.sayAlive();
      void this.claimRuns();
    }, TICK_MS);
  }

  /**
   * A place for one more run on this host, held until `launch` or `release`; null when all are
   * taken and the run has to queue.
   */
  reserve(executionId: string): string | null {
    if (this.stopping || this.freePlaces() <= 0) {
      this.mayHaveQueued = true;
      return null;
    }
    this.reserved.add(executionId);
    return this.hostId;
  }

  release(executionId: string): void {
    this.reserved.delete(executionId);
  }

  /** Walks a run that this host holds the lease of. */
  launch(run: LeasedRun): void {
    const id = run.lease.executionId;
    const abort = new AbortController();
    const pause = new AbortController();
    const activity: WalkActivity = { isResting: () => false };
    const ended: Promise<void> = this.walker
      .walk({ run, signal: abort.signal, pausing: pause.signal, activity })
      .catch((error: unknown) => {
        // The run stays ours in the table and unwalked here: a later claim leases it anew.
        this.logger.error(
          { err: error, execution_id: id },
          'a run stopped unexpectedly; it will be taken up again',
        );
      })
      .finally(() => {
        if (this.walking.get(id)?.ended === ended) this.walking.delete(id);
        // Whoever took the request back meanwhile finds the run free to be claimed.
        this.mayHaveQueued ||= pause.signal.aborted;
        if (this.mayHaveQueued) void this.claimRuns();
      });
    this.walking.set(id, { abort, pause, activity, ended });
    this.reserved.delete(id);
  }

  /** Stops walking a run whose lease is gone. */
  abort(executionId: string): void {
    this.walking.get(executionId)?.abort.abort();
  }

  /** Stops at the next step a run that somebody asked to pause; another host hears of it by its heartbeat. */
  pause(executionId: string): void {
    this.walking.get(executionId)?.pause.abort();
  }

  /** Takes up what was queued just now, if this host has room. */
  async takeUp(): Promise<void> {
    this.mayHaveQueued = true;
    // The claim under way may have looked before.
    await this.claim;
    await this.claimRuns();
  }

  /** Resolves when this host stops walking a run; null when it doesn't walk it. */
  whenEnded(executionId: string): Promise<void> | null {
    return this.walking.get(executionId)?.ended ?? null;
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
    clearInterval(this.timer);
    await this.claim;
    this.walker.drain();
    const runs = [...this.walking.values()];
    const grace = setTimeout(() => {
      for (const run of runs) run.abort.abort();
    }, this.settings.drainMs);
    await Promise.all(runs.map((run) => run.ended));
    clearTimeout(grace);
    await this.beat;
    // What couldn't finish is free at once for the next host.
    await this.database.query('select remove_host($1)', [this.hostId]);
  }

  private freePlaces(): number {
    const walked = [...this.walking.values()];
    const active = walked.filter(({ activity }) => !activity.isResting()).length;
    const { maxRunningExecutions } = this.settings;
    const held = this.reserved.size + this.claiming;
    return Math.min(
      maxRunningExecutions - active - held,
      maxRunningExecutions * RESTING_FACTOR - walked.length - held,
    );
  }

  /** Says that this host lives, on a connection of its own: no load may keep it from that. */
  private sayAlive(): Promise<void> {
    this.beat ??= this.sayAliveOnce()
      .catch((error: unknown) => {
        this.logger.error({ err: error }, 'the heartbeat failed; it is tried again each second');
      })
      .finally(() => {
        this.beat = null;
      });
    return this.beat;
  }

  private async sayAliveOnce(): Promise<void> {
    // Of these walks it is told, not of what may be walked by the time of the answer.
    const walked = new Map(this.walking);
    const told = await this.database.queryReserved<{
      execution_id: string;
      reason: 'lost' | 'pause';
    }>('select * from heartbeat($1, $2)', [this.hostId, [...walked.keys()]]);
    for (const { execution_id: id, reason } of told) {
      const run = walked.get(id);
      (reason === 'lost' ? run?.abort : run?.pause)?.abort();
    }
  }

  /** One claim at a time: whoever asks meanwhile gets that one. */
  private claimRuns(): Promise<void> {
    this.claim ??= this.claimOnce()
      .catch((error: unknown) => {
        this.logger.error({ err: error }, 'no runs can be claimed; it is tried again each second');
      })
      .finally(() => {
        this.claim = null;
      });
    return this.claim;
  }

  private async claimOnce(): Promise<void> {
    const limit = this.freePlaces();
    if (this.stopping || limit <= 0) return;
    this.claiming = limit;
    this.mayHaveQueued = false;
    try {
      const held = [...this.walking.keys(), ...this.reserved];
      const runs = await this.store.claim({ hostId: this.hostId, limit, held });
      this.mayHaveQueued ||= runs.length >= limit;
      for (const run of runs) this.launch(run);
    } finally {
      this.claiming = 0;
    }
  }
}
