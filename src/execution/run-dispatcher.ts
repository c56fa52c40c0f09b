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

const TICK_MS = 1_000;

interface WalkingRun {
  abort: AbortController;
  ended: Promise<void>;
}

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
  private timer: NodeJS.Timeout | undefined;
  private ticking: Promise<void> = Promise.resolve();
  private isTickAwaited = false;
  private stopping = false;

  constructor(
    @Inject(RUN_STORE) private readonly store: RunStore,
    private readonly database: Database,
    private readonly walker: RunWalker,
    private readonly settings: ExecutionSettings,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    await this.tick();
    this.timer = setInterval(() => {
      this.tickSoon();
    }, TICK_MS);
  }

  /**
   * A place for one more run on this host, held until `launch` or `release`; null when all are
   * taken and the run has to queue.
   */
  reserve(executionId: string): string | null {
    const held = this.walking.size + this.reserved.size;
    if (this.stopping || held >= this.settings.maxRunningExecutions) return null;
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
    const ended: Promise<void> = this.walker
      .walk(run, abort.signal)
      .catch((error: unknown) => {
        // The run stays ours in the table and unwalked here: the next tick leases it anew.
        this.logger.error(
          { err: error, execution_id: id },
          'a run stopped unexpectedly; it will be taken up again',
        );
      })
      .finally(() => {
        if (this.walking.get(id)?.ended === ended) this.walking.delete(id);
        if (!this.stopping) this.tickSoon();
      });
    this.walking.set(id, { abort, ended });
    this.reserved.delete(id);
  }

  /** Stops walking a run whose lease is gone. */
  abort(executionId: string): void {
    this.walking.get(executionId)?.abort.abort();
  }

  /** Resolves when a run of this host ends; null when it isn't one. */
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
    await this.ticking;
    this.walker.drain();
    const runs = [...this.walking.values()];
    const grace = setTimeout(() => {
      for (const run of runs) run.abort.abort();
    }, this.settings.drainMs);
    await Promise.all(runs.map((run) => run.ended));
    clearTimeout(grace);
    // What couldn't finish is free at once for the next host.
    await this.database.query('select remove_host($1)', [this.hostId]);
  }

  /** One tick runs at a time, and at most one waits for it: many runs may end at once. */
  private tickSoon(): void {
    if (this.isTickAwaited) return;
    this.isTickAwaited = true;
    this.ticking = this.ticking
      .then(() => {
        this.isTickAwaited = false;
        return this.tick();
      })
      .catch((error: unknown) => {
        this.logger.error({ err: error }, 'the heartbeat failed; it is tried again each second');
      });
  }

  private async tick(): Promise<void> {
    if (this.stopping) return;
    const walked = [...this.walking.keys()];
    const lost = await this.database.query<{ heartbeat: string }>('select heartbeat($1, $2)', [
      this.hostId,
      walked,
    ]);
    for (const { heartbeat: executionId } of lost) this.abort(executionId);
    const held = [...this.walking.keys(), ...this.reserved];
    const limit = this.settings.maxRunningExecutions - held.length;
    if (limit <= 0) return;
    for (const run of await this.store.claim({ hostId: this.hostId, limit, held }))
      this.launch(run);
  }
}
