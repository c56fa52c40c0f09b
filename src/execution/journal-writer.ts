import { Logger } from '@nestjs/common';

import type { Clock } from '../common/clock.js';
import { messageOf } from '../common/errors.js';
import { estimateJsonSize } from '../common/expression/values.js';
import { withPatience } from './database-patience.js';
import type { JournalEntry, Lease, RunOutcome, RunStore } from './run-store.js';

const WARN_EVERY = 40;
/** Entries wait for the next write only up to this size. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024;

/**
 * The journal of one run as its walker writes it: entries gather until a write takes them along, one
 * write at a time, tried again for as long as the database is away.
 */
export class JournalWriter {
  private readonly logger = new Logger('execution');
  private waiting: JournalEntry[] = [];
  private waitingBytes = 0;
  private writing: Promise<void> = Promise.resolve();
  /** Once a write has failed, nothing that comes after it may count as durable. */
  private failure: { error: unknown } | null = null;

  constructor(
    private readonly store: RunStore,
    private readonly clock: Clock,
    private readonly lease: Lease,
    /** Aborts when the run is no longer walked here. */
    private readonly signal: AbortSignal,
  ) {}

  /** Takes an entry that has to be written in time, though not at once. @throws LeaseLost */
  async add(entry: JournalEntry): Promise<void> {
    this.waiting.push(entry);
    this.waitingBytes += sizeOf(entry);
    if (this.waitingBytes > MAX_WAITING_BYTES) await this.flush();
  }

  /** Returns when all entries are durable. @throws LeaseLost */
  async flush(): Promise<void> {
    await this.write((entries) => this.store.checkpoint(this.lease, entries));
  }

  /** Ends the run together with the entries that lead there. @throws LeaseLost */
  async finish(outcome: RunOutcome): Promise<void> {
    await this.write((entries) => this.store.finish(this.lease, entries, outcome));
  }

  /** Lets go of a run that somebody paused, with all that its journal still needs. @throws LeaseLost */
  async suspend(): Promise<void> {
    await this.write((entries) => this.store.suspend(this.lease, entries));
  }

  /** Lets go of a run all of whose places rest. @throws LeaseLost */
  async rest(retryInMs: number | null): Promise<void> {
    await this.write((entries) => this.store.rest(this.lease, entries, retryInMs));
  }

  private async write(send: (entries: JournalEntry[]) => Promise<void>): Promise<void> {
    const turn = this.writing.then(async () => {
      if (this.failure) throw this.failure.error;
      const entries = this.waiting;
      this.waiting = [];
      this.waitingBytes = 0;
      try {
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

  private warn(failures: number, error: unknown): void {
    if (failures % WARN_EVERY !== 1) return;
    this.logger.warn(
      { execution_id: this.lease.executionId, failures, reason: messageOf(error) },
      'the journal cannot be written while the database is away; trying again',
    );
  }
}

function sizeOf(entry: JournalEntry): number {
  if (entry.status === 'skipped') return 0;
  const input = estimateJsonSize(entry.input, MAX_WAITING_BYTES);
  return 'result' in entry
    ? input + estimateJsonSize(entry.result.output, MAX_WAITING_BYTES)
    : input;
}
