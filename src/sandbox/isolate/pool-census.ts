import type { FairQueue } from '../fair-queue.js';
import type { TrustClass } from '../sandbox.js';

/** A process of the pool, as far as the pool judges it. */
export interface CountedMember {
  state: 'spare' | 'idle' | 'busy' | 'cleaning' | 'ending';
  tenantId: string | null;
  trust: TrustClass | null;
}

/**
 * Who holds and who wants how many processes, at one moment. While tenants wait, nobody takes
 * another process who has more of them in use than one of those: a call that lasts can't be taken
 * away, but no tenant gets more of those while another has fewer (max-min fairness). The lanes of
 * the queue are classes of trust: a process of one is of no use to another of the same tenant, so a
 * tenant near its limit leaves the last places to its lanes that have none.
 */
export class PoolCensus {
  private readonly holdings = new Map<string, Map<string, Holding>>();
  /** In use by the tenant that has the fewest of those that want one more. */
  private readonly fewest: number;
  /** Lanes of a tenant that wait with no process in use. */
  private readonly empty = new Map<string, number>();

  constructor(
    members: Iterable<CountedMember>,
    private readonly queue: Pick<FairQueue<unknown>, 'lines' | 'waitingIn'>,
    private readonly maxPerTenant: number,
  ) {
    for (const { state, tenantId, trust } of members) {
      if (tenantId === null || trust === null || state === 'spare' || state === 'ending') continue;
      this.holdingOf(tenantId, trust)[state]++;
    }
    let fewest = Infinity;
    for (const { tenantId, lane, line } of queue.lines()) {
      if (this.wants(tenantId, lane, line.length) === 0) continue;
      fewest = Math.min(fewest, this.inUse(tenantId));
      if (this.isUnused(tenantId, lane))
        this.empty.set(tenantId, (this.empty.get(tenantId) ?? 0) + 1);
    }
    this.fewest = fewest;
  }

  /** Whether a tenant has no process that a call in this lane could use, now or later. */
  holdsNone(tenantId: string, lane: string): boolean {
    return this.find(tenantId, lane) === undefined;
  }

  /** Whether it has none in use, nor one that waits for this lane. */
  isWithout(tenantId: string, lane: string): boolean {
    return this.inUse(tenantId) === 0 && this.holdsNone(tenantId, lane);
  }

  mayTakeOne(tenantId: string, lane: string): boolean {
    return this.inUse(tenantId) <= this.fewest && !this.standsBack(tenantId, lane);
  }

  /** Whether a call in this lane waits that could use one more process than its own. */
  canUseOne(tenantId: string, lane: string): boolean {
    return this.wants(tenantId, lane, this.queue.waitingIn(tenantId, lane)) > 0;
  }

  /**
   * How many more processes a tenant could use, and may have, for those who wait in a lane. None for
   * those whose call can have the process that is cleaning up: that takes a fraction of a
   * millisecond, a new process 60.
   */
  private wants(tenantId: string, lane: string, waiting: number): number {
    const cleaning = this.find(tenantId, lane)?.cleaning ?? 0;
    return Math.max(0, Math.min(waiting - cleaning, this.room(tenantId)));
  }

  /** Processes to start: what all want beyond their own that stand idle until it is their turn. */
  wantedByAll(): number {
    const wanted = new Map<string, { more: number; own: number }>();
    for (const { tenantId, lane, line } of this.queue.lines()) {
      const { idle, cleaning } = this.find(tenantId, lane) ?? NONE;
      const usable = this.standsBack(tenantId, lane) ? 0 : idle;
      const { more, own } = wanted.get(tenantId) ?? { more: 0, own: 0 };
      const waiting = Math.max(0, line.length - cleaning);
      wanted.set(tenantId, {
        more: more + Math.max(0, waiting - idle),
        own: own + Math.min(waiting, usable),
      });
    }
    let total = 0;
    for (const [tenantId, { more, own }] of wanted) {
      total += Math.max(0, Math.min(more, this.room(tenantId) - own));
    }
    return total;
  }

  private standsBack(tenantId: string, lane: string): boolean {
    const empty = this.empty.get(tenantId) ?? 0;
    return !this.isUnused(tenantId, lane) && this.room(tenantId) <= empty;
  }

  private isUnused(tenantId: string, lane: string): boolean {
    const { busy, cleaning } = this.find(tenantId, lane) ?? NONE;
    return busy + cleaning === 0;
  }

  private room(tenantId: string): number {
    return this.maxPerTenant - this.inUse(tenantId);
  }

  private inUse(tenantId: string): number {
    let inUse = 0;
    for (const { busy, cleaning } of this.holdings.get(tenantId)?.values() ?? []) {
      inUse += busy + cleaning;
    }
    return inUse;
  }

  private find(tenantId: string, lane: string): Holding | undefined {
    return this.holdings.get(tenantId)?.get(lane);
  }

  private holdingOf(tenantId: string, lane: string): Holding {
    let lanes = this.holdings.get(tenantId);
    if (lanes === undefined) this.holdings.set(tenantId, (lanes = new Map<string, Holding>()));
    let holding = lanes.get(lane);
    if (holding === undefined) lanes.set(lane, (holding = { ...NONE }));
    return holding;
  }
}

interface Holding {
  idle: number;
  busy: number;
  cleaning: number;
}

const NONE: Readonly<Holding> = { idle: 0, busy: 0, cleaning: 0 };
