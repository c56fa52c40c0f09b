import { Logger } from '@nestjs/common';

import type { Clock } from '../common/clock.js';
import { messageOf } from '../common/errors.js';
import { estimateJsonSize } from '../common/expression/values.js';
import { withPatience } from './database-patience.js';
import { isRefusedForItsContent } from './refused-content.js';
import {
  LeaseLost,
  type JournalEntry,
  type LeasedRun,
  type NewRun,
  type RunOutcome,
  type RunStore,
} from './run-store.js';

const WARN_EVERY = 40;
/** Entries wait for the next write only up to this size. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024;
/** And only for so long: who looks at a run sees what it has come to, and a crash repeats little. */
const MAX_DELAY_MS = 100;

/**
 * The journal of one run as its walker writes it: entries gather until a write takes them along, one
 * write at a time, tried again for as long as the database is away. A run that isn't stored is stored by
 * its first write: one that ends before that is a single row of a single flush.
 */
export class JournalWriter {
  private readonly logger = new Logger('execution');
  private readonly beganAt: number;
  private readonly storing = Promise.withResolvers<undefined>();
  private unstored: NewRun | null;
  private waiting: JournalEntry[] = [];
  private waitingBytes = 0;
  private writing: Promise<void> = Promise.resolve();
  /** Once a write has failed, nothing that comes after it may count as durable. */
  private failure: { error: unknown } | null = null;
  private timer: NodeJS.Timeout | null = null;

  constructor(
    private readonly store: RunStore,
    private readonly clock: Clock,
    private readonly run: Pick<LeasedRun, 'lease' | 'unstored'>,
    /** Aborts when the run is no longer walked here. */
    private readonly signal: AbortSignal,
  ) {
    this.beganAt = clock.monotonic();
    this.unstored = run.unstored;
    // Whoever waits for it hears of a failure; often nobody does.
    this.storing.promise.catch(() => undefined);
    if (this.unstored) this.flushSoon();
    else this.storing.resolve(undefined);
  }

  get isStored(): boolean {
    return this.unstored === null;
  }

  /** Resolves when the run itself is durable. @throws what kept it from being stored */
  async whenStored(): Promise<void> {
    await this.storing.promise;
  }

  /** Takes an entry that has to be written in time, though not at once. @throws LeaseLost */
  async add(entry: JournalEntry): Promise<void> {
    this.waiting.push(entry);
    this.waitingBytes += sizeOf(entry);
    if (this.waitingBytes > MAX_WAITING_BYTES) await this.flush();
    else this.flushSoon();
  }

  /** Returns when all entries are durable. @throws LeaseLost */
  async flush(): Promise<void> {
    await this.write((entries) => this.store.checkpoint(this.run.lease, entries), {});
  }

  /** Ends the run together with the entries that lead there. @throws LeaseLost */
  async finish(outcome: RunOutcome): Promise<void> {
    await this.write((entries) => this.store.finish(this.run.lease, entries, outcome), {
      end: outcome,
    });
  }

  /** Lets go of a run that somebody paused, with all that its journal still needs. @throws LeaseLost */
  async suspend(): Promise<void> {
    await this.write((entries) => this.store.suspend(this.run.lease, entries), { letsGo: true });
  }

  /** Lets go of a run all of whose places rest. @throws LeaseLost */
  async rest(retryInMs: number | null): Promise<void> {
    await this.write((entries) => this.store.rest(this.run.lease, entries, retryInMs), {
      letsGo: true,
    });
  }

  /**
   * Nothing is written by itself any more.
   * @param failure of the walk; whoever waits for a run that isn't stored by then hears of it
   */
  close(failure: unknown = null): void {
    this.stopTimer();
    if (this.unstored) this.storing.reject(failure ?? new LeaseLost(this.run.lease));
  }

  private stopTimer(): void {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
  }

  private flushSoon(): void {
    this.timer ??= setTimeout(() => {
      this.timer = null;
      // What fails here fails the next write as well, whose caller is told.
      this.flush().catch(() => undefined);
    }, MAX_DELAY_MS);
  }

  private async write(
    send: (entries: JournalEntry[]) => Promise<void>,
    what: { end?: RunOutcome; letsGo?: boolean },
  ): Promise<void> {
    const turn = this.writing.then(async () => {
      if (this.failure) throw this.failure.error;
      const entries = this.waiting;
      this.waiting = [];
      this.waitingBytes = 0;
      this.stopTimer();
      try {
        if (this.unstored && (await this.storeRun(this.unstored, entries, what))) return;
        await withPatience(() => send(entries), {
          clock: this.clock,
          signal: this.signal,
          onFailure: (error, failures) => {
            this.warn(failures, error);
          },
        });
      } catch (error) {
        this.failure = { error };
        throw error;
      }
    });
    // Whoever asked for this write is told by its own promise; the next one asks for itself.
    this.writing = turn.catch(() => undefined);
    await turn;
  }

  /**
   * Stores the run, without patience: whoever started it is told when that can't be done, and nothing of it
   * has had an effect.
   * @returns whether entries and end went along
   */
  private async storeRun(
    run: NewRun,
    entries: JournalEntry[],
    { end = null, letsGo = false }: { end?: RunOutcome | null; letsGo?: boolean },
  ): Promise<boolean> {
    let isWhole = !letsGo && entries.every(mayComeWithItsRun);
    const ageMs = (): number => this.clock.monotonic() - this.beganAt;
    const progress = isWhole ? { entries, end, ageMs } : { entries: [], end: null, ageMs };
    try {
      const accepted = await this.store.accept(run, progress).catch((error: unknown) => {
        // Its own content is to blame, or that of its results: that is told of the run itself.
        if (!isWhole || !isRefusedForItsContent(error)) throw error;
        isWhole = false;
        return this.store.accept(run, { entries: [], end: null, ageMs });
      });
      // Stored, but it is somebody else's to walk.
      const isOurs =
        accepted.kind === 'new' && (accepted.run !== null || (isWhole && end !== null));
      this.unstored = null;
      this.storing.resolve(undefined);
      if (!isOurs) throw new LeaseLost(this.run.lease);
      return isWhole;
    } catch (error) {
      this.storing.reject(error);
      throw error;
    }
  }

  private warn(failures: number, error: unknown): void {
    if (failures % WARN_EVERY !== 1) return;
    this.logger.warn(
      { execution_id: this.run.lease.executionId, failures, reason: messageOf(error) },
      'the journal cannot be written while the database is away; trying again',
    );
  }
}

/** What opens a wait, or tells that a credential was used, is written for runs that are stored. */
function mayComeWithItsRun(entry: JournalEntry): boolean {
  if (entry.status === 'waiting') return false;
  return !('result' in entry) || entry.result.metadata['credential_id'] === undefined;
}

function sizeOf(entry: JournalEntry): number {
  if (entry.status === 'skipped') return 0;
  const input = estimateJsonSize(entry.input, MAX_WAITING_BYTES);
  return 'result' in entry
    ? input + estimateJsonSize(entry.result.output, MAX_WAITING_BYTES)
    : input;
}
