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

  countFree(walked: readonly Walked[]): number {
    const active = walked.filter(({ isResting }) => !isResting).length;
    const held = this.reserved.size + this.claiming;
    return Math.min(this.max - active - held, this.max * RESTING_FACTOR - walked.length - held);
  }

  /** Holds a place for a new run, until `release`; false: it has to queue. */
  reserve(run: { executionId: string; tenantId: string }, walked: readonly Walked[]): boolean {
    const { executionId, tenantId } = run;
    this.noteWanted(tenantId);
    if (this.countFree(walked) <= 0) {
      this.isOwed = true;
      return false;
    }
    if (this.isOwed || this.hasItsShare(tenantId, walked)) return false;
    this.reserved.set(executionId, tenantId);
    return true;
  }

  release(executionId: string): void {
    this.reserved.delete(executionId);
  }

  /** Whether no claim may begin now. */
  isFull(walked: readonly Walked[]): boolean {
    const isFull = this.countFree(walked) <= 0;
    this.isOwed ||= isFull;
    return isFull;
  }

  /**
   * Places for a claim of a tenant's, until `endClaim`: no more than half of those that are free, so that
   * another claim can begin meanwhile, and runs can be born.
   */
  beginClaim(tenantId: string, walked: readonly Walked[]): number {
    this.noteWanted(tenantId);
    const free = Math.max(0, this.countFree(walked));
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

  private hasItsShare(tenantId: string, walked: readonly Walked[]): boolean {
    const other = this.wanted?.tenantId === tenantId ? this.wantedBefore : this.wanted;
    if (!other || this.clock.monotonic() - other.at > WANTED_FOR_MS) return false;
    const active = walked.filter((run) => run.tenantId === tenantId && !run.isResting).length;
    const reserved = [...this.reserved.values()].filter((one) => one === tenantId).length;
    return active + reserved >= Math.ceil(this.max / 2);
  }

  private noteWanted(tenantId: string): void {
    if (this.wanted && this.wanted.tenantId !== tenantId) this.wantedBefore = this.wanted;
    this.wanted = { tenantId, at: this.clock.monotonic() };
  }
}
