import { systemClock, type Clock } from '../common/clock.js';
import { isConnectionLost } from '../common/connection-lost.js';
import { AppError } from '../common/errors.js';
import type { RunWrite, Written } from './sql/flush-runs.js';

/** How much goes into one flush, and how much may wait for one. */
export class CommitterLimits {
  /** Flushes at the same time. */
  lanes = 2;
  /**
   * So many writes wait before another lane opens beside one that flushes: a few are better off with its
   * next flush, since a flush of one costs PostgreSQL about six times what a run costs among dozens.
   */
  moreLanesFrom = 16;
  /** Of one flush: runs and entries of their journals. */
  maxRows = 1_000;
  /** Of one flush. A larger write goes alone. */
  maxBytes = 4 * 1024 * 1024;
  /** New runs that may wait; one more is turned away. What leases write is bounded by their number. */
  maxWaitingAccepts = 5_000;
  /** How long a write waits for a database that is away, or for whoever holds its run. */
  patienceMs = 15_000;
}

/** Sends what was taken in one transaction: what became of each, in the same order. */
export type Flush = (writes: FlushedWrite[]) => Promise<Written[]>;

export interface FlushedWrite extends Pick<RunWrite, 'kind' | 'entries'> {
  text: string;
}

/**
 * Group commit: every hot write of this host. A free lane takes all that waits, so that a
 * lone write goes at once and a thousand share one commit; no write waits by a timer as long as flushes are short. Each caller hears of its own write,
 * when it is durable or can't be. Writes of one run go one after another.
 */
export class Committer {
  private readonly ready: Waiting[] = [];
  /** Runs with a write that is not settled, and what waits behind it. */
  private readonly behind = new Map<string, Waiting[]>();
  private waitingAccepts = 0;
  private freeLanes: number;
  private isWakeUpDue = false;
  private opening: NodeJS.Timeout | null = null;

  constructor(
    private readonly flush: Flush,
    private readonly limits = new CommitterLimits(),
    private readonly clock: Clock = systemClock,
  ) {
    this.freeLanes = limits.lanes;
  }

  /**
   * Returns when the write is durable, or was found to be impossible.
   * @throws AppError service.unavailable when too many new runs wait; else what the database throws
   */
  async commit(write: RunWrite): Promise<Written> {
    if (write.kind === 'accept') {
      if (this.waitingAccepts >= this.limits.maxWaitingAccepts) {
        throw new AppError(
          'service.unavailable',
          'more executions are being started than the database can store; try again in a moment',
        );
      }
      this.waitingAccepts++;
    }
    try {
      return await new Promise<Written>((resolve, reject) => {
        this.push({ write, resolve, reject, since: this.clock.monotonic(), text: null, tries: 0 });
      });
    } finally {
      if (write.kind === 'accept') this.waitingAccepts--;
      this.letNextOf(write.executionId);
    }
  }

  /** Writes that no lane has taken yet. */
  get waitingCount(): number {
    return this.ready.length;
  }

  private push(waiting: Waiting): void {
    const earlier = this.behind.get(waiting.write.executionId);
    if (earlier) {
      earlier.push(waiting);
      return;
    }
    this.behind.set(waiting.write.executionId, []);
    this.enqueue(waiting);
  }

  private letNextOf(executionId: string): void {
    const next = this.behind.get(executionId)?.shift();
    if (next) this.enqueue(next);
    else this.behind.delete(executionId);
  }

  private enqueue(waiting: Waiting): void {
    this.ready.push(waiting);
    this.wakeLane();
  }

  /** All that this turn of the event loop brings goes together. */
  private wakeLane(): void {
    if (this.freeLanes === 0 || this.ready.length === 0 || this.isWakeUpDue) return;
    const isAnyBusy = this.freeLanes < this.limits.lanes;
    if (isAnyBusy && this.ready.length < this.limits.moreLanesFrom) {
      this.openSoon();
      return;
    }
    this.isWakeUpDue = true;
    setImmediate(() => {
      this.isWakeUpDue = false;
      void this.useLane();
    });
  }

  /** A flush that takes long, because somebody holds what it needs, holds up nobody else. */
  private openSoon(): void {
    this.opening ??= setTimeout(() => {
      this.opening = null;
      if (this.ready.length > 0) void this.useLane();
    }, LONG_FLUSH_MS).unref();
  }

  private async useLane(): Promise<void> {
    if (this.freeLanes === 0) return;
    this.freeLanes--;
    try {
      for (let batch = this.take(); batch.length > 0; batch = this.take()) {
        this.wakeLane();
        await this.send(batch);
        // Whoever was just told writes on, and so goes along.
        await new Promise(setImmediate);
      }
    } finally {
      this.freeLanes++;
    }
  }

  /** As much of what waits as one flush may hold, and at least one. */
  private take(): Encoded[] {
    const batch: Encoded[] = [];
    let taken = 0;
    let rows = 0;
    let bytes = 0;
    for (const waiting of this.ready) {
      const { write } = waiting;
      rows += 1 + write.entries;
      if (batch.length > 0 && rows > this.limits.maxRows) break;
      if (!encode(waiting)) {
        taken++;
        continue;
      }
      bytes += Buffer.byteLength(waiting.text);
      if (batch.length > 0 && bytes > this.limits.maxBytes) break;
      batch.push(waiting);
      taken++;
    }
    this.ready.splice(0, taken);
    return batch;
  }

  /** Settles each of a batch, or puts it back among those that wait. */
  private async send(batch: Encoded[]): Promise<void> {
    let written: Written[];
    try {
      written = await this.flush(
        batch.map(({ write, text }) => ({ kind: write.kind, entries: write.entries, text })),
      );
    } catch (error) {
      await this.sendFailed(batch, error);
      return;
    }
    for (const [index, waiting] of batch.entries()) {
      const one = written[index];
      if (!one) waiting.reject(new Error('the flush did not answer for each write'));
      else if (one.state !== 'busy') waiting.resolve(one);
      else void this.trySoon(waiting);
    }
  }

  private async sendFailed(batch: Encoded[], error: unknown): Promise<void> {
    if (isTransient(error) && batch.every(({ tries }) => tries < MAX_TRIES)) {
      for (const waiting of batch) waiting.tries++;
      await this.send(batch);
    } else if (batch.length > 1 && mayBeOneOfThem(error)) {
      const middle = batch.length >> 1;
      await this.send(batch.slice(0, middle));
      await this.send(batch.slice(middle));
    } else {
      for (const waiting of batch) waiting.reject(error);
      if (isConnectionLost(error)) this.dismissPatient(error);
    }
  }

  /** Who has waited for long hears why, as if it had been sent: nobody waits for ever. */
  private dismissPatient(error: unknown): void {
    const { ready, clock, limits } = this;
    const latest = clock.monotonic() - limits.patienceMs;
    const kept = ready.filter(({ since }) => since > latest);
    if (kept.length === ready.length) return;
    const dismissed = ready.filter(({ since }) => since <= latest);
    ready.splice(0, ready.length, ...kept);
    for (const waiting of dismissed) waiting.reject(error);
  }

  private async trySoon(waiting: Waiting): Promise<void> {
    const { executionId } = waiting.write;
    if (this.clock.monotonic() - waiting.since > this.limits.patienceMs) {
      waiting.reject(new Error(`execution ${executionId} is locked by another transaction`));
      return;
    }
    await this.clock.sleep(BUSY_PAUSE_MS);
    this.enqueue(waiting);
  }
}

const MAX_TRIES = 4;
const BUSY_PAUSE_MS = 10;
/** Several times what one takes. */
const LONG_FLUSH_MS = 20;

interface Waiting {
  write: RunWrite;
  resolve: (written: Written) => void;
  reject: (error: unknown) => void;
  since: number;
  text: string | null;
  /** Times that its flush was undone for no fault of its own. */
  tries: number;
}

type Encoded = Waiting & { text: string };

function encode(waiting: Waiting): waiting is Encoded {
  try {
    waiting.text ??= waiting.write.encode();
    return true;
  } catch (error) {
    waiting.reject(error);
    return false;
  }
}

function sqlState(error: unknown): string {
  const code = (error as { driverError?: { code?: unknown } }).driverError?.code;
  return typeof code === 'string' ? code : '';
}

/** serialization_failure and deadlock_detected: the same flush may succeed when begun anew. */
function isTransient(error: unknown): boolean {
  return ['40001', '40P01'].includes(sqlState(error));
}

/** Refused for what was to be written: data, constraint, program limit (SQLSTATE classes 22, 23, 54). */
function mayBeOneOfThem(error: unknown): boolean {
  return /^(22|23|54)/.test(sqlState(error));
}
