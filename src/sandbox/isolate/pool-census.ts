import type { FairQueue } from '../fair-queue.js';

/** A process of the pool, as far as the pool judges it. */
export interface CountedMember {
  state: 'spare' | 'idle' | 'busy' | 'cleaning' | 'ending';
  tenantId: string | null;
}

/**
 * Who holds and who wants how many processes, at one moment. While tenants wait, nobody takes
 * another process who has more of them in use than one of those: a call that lasts can't be taken
 * away, but no tenant gets more of those while another has fewer (max-min fairness).
 */
export class PoolCensus {
  private readonly holdings = new Map<string, Holding>();
  /** In use by the tenant that has the fewest of those that want one more. */
  private readonly fewest: number;

  constructor(
    members: Iterable<CountedMember>,
    private readonly queue: FairQueue<unknown>,
    private readonly maxPerTenant: number,
  ) {
    for (const { state, tenantId } of members) {
      if (tenantId === null || state === 'spare' || state === 'ending') continue;
      const holding = this.holdings.get(tenantId) ?? { idle: 0, busy: 0, cleaning: 0 };
      holding[state]++;
      this.holdings.set(tenantId, holding);
    }
    let fewest = Infinity;
    for (const [tenantId, line] of queue.lines()) {
      if (this.wants(tenantId, line.length) > 0) fewest = Math.min(fewest, this.inUse(tenantId));
    }
    this.fewest = fewest;
  }

  holdsNone(tenantId: string): boolean {
    return !this.holdings.has(tenantId);
  }

  mayTakeOne(tenantId: string): boolean {
    return this.inUse(tenantId) <= this.fewest;
  }

  /**
   * How many more processes a tenant could use, and may have, for those who wait. None for those
   * whose call can have the process that is cleaning up: that takes a fraction of a millisecond, a
   * new process 60.
   */
  wants(tenantId: string, waiting: number): number {
    const cleaning = this.holdings.get(tenantId)?.cleaning ?? 0;
    const room = this.maxPerTenant - this.inUse(tenantId);
    return Math.max(0, Math.min(waiting - cleaning, room));
  }

  /** Processes to start: what all want beyond their own that stand idle until it is their turn. */
  wantedByAll(): number {
    return this.queue.total((tenantId, waiting) => {
      const idle = this.holdings.get(tenantId)?.idle ?? 0;
      return Math.max(0, this.wants(tenantId, waiting) - idle);
    });
  }

  private inUse(tenantId: string): number {
    const holding = this.holdings.get(tenantId);
    return holding === undefined ? 0 : holding.busy + holding.cleaning;
  }
}

interface Holding {
  idle: number;
  busy: number;
  cleaning: number;
}
