import { BoundedCache } from '../../common/bounded-cache.js';
import type { JsonValue } from '../../common/json.js';
import type { DatabaseWatch } from '../../database/database-watch.js';
import type {
  Accepted,
  Claimed,
  JournalEntry,
  Lease,
  LeasedRun,
  NewRun,
  Progress,
  RunOutcome,
  RunStore,
  WaitPlaceKey,
  WaitState,
} from '../run-store.js';
import type { Spool } from './spool.js';
import { toSpoolable, type SpoolableRun } from './spooled-run.js';

/** Of the last ones, so that a repeated request is given its execution also while nobody can look it up. */
const MAX_KNOWN_KEYS = 20_000;

interface KnownKey {
  executionId: string;
  requestHash: string;
  /** Rejects when it could not be kept after all. */
  stored: Promise<unknown>;
}

/**
 * While the database is away, new runs go into the spool instead. All else needs the database. A write that
 * was under way when it went is not spooled: nobody knows whether it is there, and who sent it is told so.
 */
export class SpoolingRunStore implements RunStore {
  private readonly known = new BoundedCache<KnownKey>(MAX_KNOWN_KEYS);

  constructor(
    private readonly inner: RunStore,
    private readonly spool: Spool,
    private readonly watch: DatabaseWatch,
  ) {}

  async accept(run: NewRun, progress?: Progress): Promise<Accepted> {
    const spoolable = this.watch.isAway && progress === undefined ? toSpoolable(run) : null;
    if (spoolable) return await this.keep(spoolable);
    const accepted = await this.inner.accept(run, progress);
    if (accepted.kind !== 'key_reused') this.remember(run, accepted.executionId, Promise.resolve());
    return accepted;
  }

  async checkpoint(lease: Lease, entries: JournalEntry[]): Promise<void> {
    await this.inner.checkpoint(lease, entries);
  }

  async finish(lease: Lease, entries: JournalEntry[], outcome: RunOutcome): Promise<void> {
    await this.inner.finish(lease, entries, outcome);
  }

  async suspend(lease: Lease, entries: JournalEntry[]): Promise<void> {
    await this.inner.suspend(lease, entries);
  }

  async rest(lease: Lease, entries: JournalEntry[], retryInMs: number | null): Promise<void> {
    await this.inner.rest(lease, entries, retryInMs);
  }

  async readBlobs(lease: Lease, ids: readonly string[]): Promise<Map<string, JsonValue>> {
    return await this.inner.readBlobs(lease, ids);
  }

  async settleWaits(lease: Lease, places: readonly WaitPlaceKey[]): Promise<WaitState[]> {
    return await this.inner.settleWaits(lease, places);
  }

  async wakeDue(): Promise<number> {
    return await this.inner.wakeDue();
  }

  async claim(input: { hostId: string; tenantId: string; places: number }): Promise<Claimed> {
    return await this.inner.claim(input);
  }

  async takeOver(input: {
    hostId: string;
    limit: number;
    held: string[] | null;
  }): Promise<LeasedRun[]> {
    return await this.inner.takeOver(input);
  }

  private async keep(run: SpoolableRun): Promise<Accepted> {
    const earlier = this.known.get(keyOf(run) ?? '');
    if (earlier) {
      await earlier.stored;
      if (earlier.requestHash !== run.idempotency?.requestHash) return { kind: 'key_reused' };
      return { kind: 'repeated', executionId: earlier.executionId };
    }
    const stored = this.spool.append({ spooledAt: Date.now(), run });
    this.remember(run, run.id, stored);
    try {
      await stored;
    } catch (error) {
      this.known.delete(keyOf(run) ?? '');
      throw error;
    }
    return { kind: 'new', executionId: run.id, run: null };
  }

  private remember(run: NewRun, executionId: string, stored: Promise<unknown>): void {
    const key = keyOf(run);
    if (key === null || run.idempotency === null) return;
    this.known.set(key, { executionId, requestHash: run.idempotency.requestHash, stored });
  }
}

/** As the database tells keys apart. */
function keyOf({ tenantId, ownerId, idempotency }: NewRun): string | null {
  return idempotency && `${tenantId}/${ownerId}/${idempotency.key}`;
}
