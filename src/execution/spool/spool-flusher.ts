import {
  Inject,
  Injectable,
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';

import { messageOf } from '../../common/errors.js';
import { oneAtATime } from '../../common/one-at-a-time.js';
import { DatabaseWatch } from '../../database/database-watch.js';
import { Database } from '../../database/database.js';
import { DIRECT_RUN_STORE, type RunStore } from '../run-store.js';
import { mayBeStoredLater } from './may-be-stored-later.js';
import { Refusals } from './refusals.js';
import { Spool, type SpooledFile } from './spool.js';
import type { SpooledRun } from './spooled-run.js';
import { storeRepeated } from './store-repeated.js';

/** Stored side by side: the committer puts them into few transactions. */
const BATCH = 200;
/** What could not be stored for a reason that may pass is tried again. */
const RETRY_MS = 1_000;
/** Why it couldn't is told when that lasts, and at most this often. */
const STUCK_MS = 5_000;
const TELL_MS = 60_000;
/** Between two looks for what hosts of this home left. */
const ADOPT_MS = 60_000;

/**
 * Stores what was spooled as soon as the database is back, the oldest first; also what an earlier process of
 * this home left, whether or not the spool is on now. A file goes when all of it is stored. A crash before
 * that stores some of it again, under the same ids, which changes nothing.
 */
@Injectable()
export class SpoolFlusher implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger('spool');
  private stopping = false;
  private timers: NodeJS.Timeout[] = [];
  /** Since when nothing could be stored though the database is there. */
  private stuckSince: number | null = null;
  private toldAt = -Infinity;
  private readonly flush = oneAtATime(
    () => this.flushAll(),
    (error) => {
      this.logger.error({ err: error }, 'the spool could not be flushed; it is tried again');
    },
  );
  private readonly adopt = oneAtATime(
    () => this.spool.adopt(),
    (error) => {
      this.logger.error({ err: error }, 'the folder of the spool could not be read');
    },
  );

  constructor(
    private readonly spool: Spool,
    @Inject(DIRECT_RUN_STORE) private readonly store: RunStore,
    private readonly database: Database,
    private readonly watch: DatabaseWatch,
  ) {}

  /** What was left is flushed beside new work: it is older, and nobody waits for it. */
  async onApplicationBootstrap(): Promise<void> {
    await this.adopt();
    this.watch.onBack(() => void this.flush());
    this.timers = [
      setInterval(() => void this.flush(), RETRY_MS),
      setInterval(() => void this.adopt(), ADOPT_MS),
    ];
    void this.flush();
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.stopping = true;
    for (const timer of this.timers) clearInterval(timer);
    await Promise.all([this.flush(), this.adopt()]);
  }

  private async flushAll(): Promise<void> {
    while (!this.stopping && !this.watch.isAway) {
      const file = await this.spool.nextFile();
      if (!file || !(await this.flushFile(file))) return;
    }
  }

  /** @returns false: not all of it could be stored, and it is tried again as a whole */
  private async flushFile(file: SpooledFile): Promise<boolean> {
    const content = await this.spool.read(file);
    if (content) {
      const { runs, damaged, tornBytes } = content;
      while (file.stored < runs.length) {
        if (this.stopping || !(await this.storeBatch(file, runs))) return false;
      }
      for (const { offset, bytes } of damaged) {
        await this.spool.setAside.bytes(bytes, { path: file.path, offset });
      }
      if (tornBytes > 0) this.noteTorn(file, tornBytes);
      if (runs.length > 0) {
        this.logger.warn(`${String(runs.length)} executions left the spool`);
      }
    }
    await this.spool.remove(file);
    return true;
  }

  /**
   * What of it was stored is remembered here alone: an outage in the middle of a large file must not begin it
   * anew each time, and after a crash that costs time and nothing else.
   * @returns false: some of it may be stored later
   */
  private async storeBatch(file: SpooledFile, runs: SpooledRun[]): Promise<boolean> {
    const batch = runs.slice(file.stored, file.stored + BATCH);
    const refusals = new Refusals(this.database);
    const stored = await Promise.all(batch.map((spooled) => this.tryStore(spooled, refusals)));
    if (stored.includes(false)) return false;
    this.stuckSince = null;
    file.stored += batch.length;
    this.spool.counts.flushed += batch.length;
    return true;
  }

  /** @returns false: it may be stored later */
  private async tryStore(spooled: SpooledRun, refusals: Refusals): Promise<boolean> {
    const { run } = spooled;
    try {
      const refusal = await refusals.find(run);
      if (refusal !== null) {
        await this.spool.setAside.run(spooled, refusal);
        return true;
      }
      const ageMs = (): number => Math.max(0, Date.now() - spooled.spooledAt);
      const accepted = await this.store.accept(run, { entries: [], end: null, ageMs });
      if (accepted.kind === 'key_reused') {
        await this.spool.setAside.run(spooled, 'its Idempotency-Key was used for another request');
      } else if (accepted.executionId !== run.id) {
        await storeRepeated(this.database, { run, firstId: accepted.executionId });
      }
      return true;
    } catch (error) {
      if (mayBeStoredLater(error)) {
        this.tellOfDelay(error);
        return false;
      }
      await this.spool.setAside.run(spooled, messageOf(error));
      return true;
    }
  }

  private tellOfDelay(error: unknown): void {
    const now = performance.now();
    this.stuckSince = this.watch.isAway ? null : (this.stuckSince ?? now);
    if (this.stuckSince === null || now - this.stuckSince < STUCK_MS) return;
    if (now - this.toldAt < TELL_MS) return;
    this.toldAt = now;
    const { records } = this.spool.measure();
    this.logger.error(
      { err: error, records },
      'the database does not take what was spooled; it is tried again each second',
    );
  }

  private noteTorn({ path }: SpooledFile, bytes: number): void {
    this.spool.counts.tornBytes += bytes;
    this.logger.warn(
      { path, bytes },
      'the last write of a spool file was cut short; nobody was told that it was accepted',
    );
  }
}
