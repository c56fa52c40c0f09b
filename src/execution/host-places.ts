import type { Clock } from '../common/clock.js';

/** Runs that only wait for their next attempt take no place, up to this many times the places. */
const RESTING_FACTOR = 10;
/** A tenant that wanted a place so long ago may still want one. */
const WANTED_FOR_MS = 10_000;
/** A claim takes this many places at least, if they are free. */
const MIN_TURN = 10;

/** What is walked on this host just now. */
export interface Walked {
  tenantId: string;
  isResting: boolean;
}

/** All of it. Each run that begins asks, so that it is counted, and gone through only where that decides. */
export interface Walks {
  readonly size: number;
  sizeOf(tenantId: string): number;
  list(): readonly Walked[];
}

/**
 * The places of a host: who may begin a run here at once, without a way through the queue.
 *
 * One tenant takes at most half of them as long as others want some, too. And where the host was full,
 * the next places belong to the queue, until it has been asked and has nothing: whoever arrives just then
 * must not pass those who wait.
 */
export class HostPlaces {
  /** Runs being stored, by id: held, though not walked yet. */
  private readonly reserved = new Map<string, string>();
  /** Places that claims under way may fill. */
  private claiming = 0;
  private isOwed = true;
  /** Who wanted a place last, and who did before that wasn't the same. */
  private wanted: { tenantId: string; at: number } | null = null;
  private wantedBefore: { tenantId: string; at: number } | null = null;

  constructor(
    private readonly max: number,
    private readonly clock: Clock,
  ) {}

  /** Runs that are held without being walked. */
  get reservedIds(): string[] {
    return [...this.reserved.keys()];
  }

  /** Whether claims are under way, whose runs aren't walked yet. */
  get isClaiming(): boolean {
    return this.claiming > 0;
  }

  /** Whether the queue may hold runs that found no room here. */
  get owesQueue(): boolean {
    return this.isOwed;
  }

  countFree(walks: Walks): number {
    const active = walks.list().filter(({ isResting }) => !isResting).length;
    const held = this.reserved.size + this.claiming;
    return Math.min(this.max - active - held, this.max * RESTING_FACTOR - walks.size - held);
  }

  /** Holds a place for a new run, until `release`; false: it has to queue. */
  reserve(run: { executionId: string; tenantId: string }, walks: Walks): boolean {
    const { executionId, tenantId } = run;
    this.noteWanted(tenantId);
    if (!this.hasFree(walks)) {
      this.isOwed = true;
      return false;
    }
    if (this.isOwed || this.hasItsShare(tenantId, walks)) return false;
    this.reserved.set(executionId, tenantId);
    return true;
  }

  release(executionId: string): void {
    this.reserved.delete(executionId);
  }

  /** Whether no claim may begin now. */
  isFull(walks: Walks): boolean {
    const isFull = !this.hasFree(walks);
    this.isOwed ||= isFull;
    return isFull;
  }

  /**
   * Places for a claim of a tenant's, until `endClaim`: no more than half of those that are free, so that
   * another claim can begin meanwhile, and runs can be born.
   */
  beginClaim(tenantId: string, walks: Walks): number {
    this.noteWanted(tenantId);
    const free = Math.max(0, this.countFree(walks));
    const places = Math.min(free, Math.max(MIN_TURN, Math.ceil(free / 2)));
    this.claiming += places;
    return places;
  }

  endClaim(places: number): void {
    this.claiming -= places;
  }

  /** The queue was asked while there was room, and has nothing. */
  settleWithQueue(): void {
    this.isOwed = false;
  }

  private hasItsShare(tenantId: string, walks: Walks): boolean {
    const other = this.wanted?.tenantId === tenantId ? this.wantedBefore : this.wanted;
    if (!other || this.clock.monotonic() - other.at > WANTED_FOR_MS) return false;
    const share = Math.ceil(this.max / 2);
    if (walks.sizeOf(tenantId) + this.reserved.size < share) return false;
    const active = walks.list().filter((run) => run.tenantId === tenantId && !run.isResting).length;
    const reserved = [...this.reserved.values()].filter((one) => one === tenantId).length;
    return active + reserved >= share;
  }

  private hasFree(walks: Walks): boolean {
    if (walks.size + this.reserved.size + this.claiming < this.max) return true;
    return this.countFree(walks) > 0;
  }

  private noteWanted(tenantId: string): void {
    if (this.wanted && this.wanted.tenantId !== tenantId) this.wantedBefore = this.wanted;
    this.wanted = { tenantId, at: this.clock.monotonic() };
  }
}
