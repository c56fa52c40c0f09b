import { FairQueue } from './fair-queue.js';
import {
  CLOSING,
  PoolUnavailableError,
  type ChildPoolOptions,
  type Lease,
  type PooledChild,
  type PoolStats,
} from './pool-contract.js';

/**
 * The children: each serves one tenant, one call at a time. A call gets an idle child of its tenant,
 * else a spare, else a new one, else the place of another tenant's idle child, else it waits.
 */
export class ChildPool<C extends PooledChild> {
  private readonly queue = new FairQueue<Waiter<C>>();
  private readonly members = new Set<Member<C>>();
  private starting = 0;
  private crashes = 0;
  private recycled = 0;
  private isClosed = false;

  constructor(private readonly options: ChildPoolOptions<C>) {}

  /**
   * Waits for a child for a tenant.
   * @throws the signal's reason when it aborts first, PoolUnavailableError when there will be none.
   */
  acquire(tenantId: string, signal: AbortSignal): Promise<Lease<C>> {
    return new Promise((resolve, reject) => {
      if (this.isClosed) {
        reject(new PoolUnavailableError(CLOSING));
        return;
      }
      const onAbort = (): void => {
        if (this.queue.remove(tenantId, waiter)) reject(signal.reason as Error);
      };
      const waiter: Waiter<C> = {
        tenantId,
        resolve: (lease) => {
          signal.removeEventListener('abort', onAbort);
          resolve(lease);
        },
        reject: (error) => {
          signal.removeEventListener('abort', onAbort);
          reject(error);
        },
      };
      if (signal.aborted) {
        reject(signal.reason as Error);
        return;
      }
      signal.addEventListener('abort', onAbort);
      this.queue.push(tenantId, waiter);
      this.serve();
    });
  }

  /** Starts spares before the first call asks for one. */
  warm(): void {
    this.serve();
  }

  stats(): PoolStats {
    const states = [...this.members].map((member) => member.state);
    const count = (state: Member<C>['state']): number =>
      states.filter((one) => one === state).length;
    return {
      children: this.members.size + this.starting,
      busy: count('busy') + count('cleaning'),
      idle: count('idle'),
      spares: count('spare'),
      starting: this.starting,
      queued: this.queue.size,
      crashes: this.crashes,
      recycled: this.recycled,
    };
  }

  /** Ends every child and waits until they are gone. Whoever waits is refused. */
  async close(): Promise<void> {
    this.isClosed = true;
    for (const waiter of this.queue.drain()) waiter.reject(new PoolUnavailableError(CLOSING));
    for (const member of this.members) this.end(member, CLOSING);
    while (this.members.size > 0 || this.starting > 0) {
      const ending = [...this.members].map(({ child }) => child.exited);
      await (ending.length > 0
        ? Promise.all(ending)
        : new Promise((resolve) => setTimeout(resolve, 5)));
    }
  }

  private serve(): void {
    if (this.isClosed) return;
    this.endTurns();
    for (;;) {
      const next = this.queue.take((tenantId) => this.freeFor(tenantId));
      if (next === undefined) break;
      this.lend(next.offered, next.item);
    }
    this.grow();
  }

  /** Tenants that wait with no process at all get the places of those whose turn is over. */
  private endTurns(): void {
    const { maxChildren, turnMs = 200 } = this.options;
    const holders = new Set<string | null>();
    let coming = maxChildren - this.members.size;
    for (const { state, tenantId } of this.members) {
      if (state === 'spare' || state === 'ending') coming++;
      else holders.add(tenantId);
    }
    let starved = this.queue.total((tenantId) => (holders.has(tenantId) ? 0 : 1)) - coming;
    for (const member of this.members) {
      if (starved <= 0) return;
      if (member.state !== 'idle' || performance.now() - member.takenAt < turnMs) continue;
      this.end(member, 'its turn is over');
      starved--;
    }
  }

  /**
   * The child that a tenant's next call would get now: its own, else a spare. No spare while one of its
   * own is cleaning up: that takes a fraction of a millisecond, a process costs 60.
   */
  private freeFor(tenantId: string): Member<C> | undefined {
    let spare: Member<C> | undefined;
    for (const member of this.members) {
      const isOurs = member.tenantId === tenantId || !this.options.tenantChildren;
      if (member.state === 'idle' && isOurs) return member;
      if (member.state === 'spare') spare = member;
    }
    return this.processesWanted(tenantId, this.queue.waitingOf(tenantId)) > 0 ? spare : undefined;
  }

  /** How many more processes a tenant could use, and may have, for those who wait. */
  private processesWanted(tenantId: string, waiting: number): number {
    let busy = 0;
    let cleaning = 0;
    for (const member of this.members) {
      if (member.tenantId !== tenantId) continue;
      if (member.state === 'busy') busy++;
      if (member.state === 'cleaning') cleaning++;
    }
    const room = this.options.maxChildrenPerTenant - busy - cleaning;
    return Math.max(0, Math.min(waiting - cleaning, room));
  }

  private lend(member: Member<C>, waiter: Waiter<C>): void {
    if (member.tenantId === null) member.takenAt = performance.now();
    member.state = 'busy';
    member.tenantId = waiter.tenantId;
    member.calls++;
    const since = performance.now();
    let isReleased = false;
    waiter.resolve({
      child: member.child,
      settle: () => {
        if (member.state === 'busy') member.state = 'cleaning';
      },
      release: (isReusable) => {
        if (isReleased) return;
        isReleased = true;
        this.queue.charge(waiter.tenantId, performance.now() - since);
        this.takeBack(member, isReusable);
      },
    });
  }

  private takeBack(member: Member<C>, isReusable: boolean): void {
    if (member.state === 'ending') return;
    if (!isReusable) this.end(member, 'its call ended badly');
    else if (this.hasServedEnough(member)) {
      this.recycled++;
      this.end(member, 'it has served enough');
    } else {
      member.state = 'idle';
      member.idleSince = performance.now();
      if (member.calls % RSS_CHECK_EVERY_CALLS === 0) void this.checkGrowth(member);
    }
    this.serve();
  }

  private hasServedEnough(member: Member<C>): boolean {
    const { calls, ageMs } = this.options.recycle;
    return member.calls >= calls || performance.now() - member.startedAt >= ageMs;
  }

  private async checkGrowth(member: Member<C>): Promise<void> {
    const rss = await this.options.rssBytes(member.child);
    if (rss === null) return;
    member.firstRssBytes ??= rss;
    const grownMb = (rss - member.firstRssBytes) / 2 ** 20;
    if (grownMb < this.options.recycle.rssGrowthMb || member.state !== 'idle') return;
    this.recycled++;
    this.end(member, 'its memory has grown');
  }

  /** Starts what the waiting and the spares want, within the limit; makes room if it must. */
  private grow(): void {
    if (this.isClosed) return;
    const { maxChildren, spares } = this.options;
    const states = [...this.members].map((member) => member.state);
    const ending = states.filter((state) => state === 'ending').length;
    const free = states.filter((state) => state === 'spare').length;
    let wanted =
      this.queue.total((tenantId, waiting) => this.processesWanted(tenantId, waiting)) -
      this.starting;
    for (; wanted > 0 && this.members.size + this.starting < maxChildren; wanted--)
      void this.startOne();
    for (let room = wanted - ending; room > 0 && this.evict(); room--);
    const missing = spares - free - this.starting;
    for (let i = 0; i < missing && this.members.size + this.starting < maxChildren; i++)
      void this.startOne();
  }

  private async startOne(): Promise<void> {
    this.starting++;
    try {
      const child = await this.options.start();
      this.starting--;
      this.adopt(child);
    } catch (error) {
      this.starting--;
      this.options.log('error', 'sandbox.child_failed_to_start', { error: String(error) });
      // Whoever has waited longest hears of it; the rest try again with the next start.
      this.queue
        .take(() => true)
        ?.item.reject(new PoolUnavailableError('sandbox children do not start'));
      if (this.queue.size > 0) this.serve();
    }
  }

  private adopt(child: C): void {
    const now = performance.now();
    const member: Member<C> = {
      child,
      state: 'spare',
      tenantId: null,
      calls: 0,
      startedAt: now,
      takenAt: now,
      idleSince: now,
      firstRssBytes: null,
    };
    this.members.add(member);
    void child.exited.then(() => {
      this.members.delete(member);
      if (member.state !== 'ending') {
        this.crashes++;
        this.options.log('warn', 'sandbox.child_ended', {
          pid: child.pid,
          tenantId: member.tenantId,
        });
        member.state = 'ending';
      }
      this.serve();
    });
    if (this.isClosed) this.end(member, CLOSING);
    else this.serve();
  }

  /** Frees the place of the child that has been idle longest. */
  private evict(): boolean {
    let oldest: Member<C> | null = null;
    for (const member of this.members) {
      if (member.state === 'idle' && (oldest === null || member.idleSince < oldest.idleSince))
        oldest = member;
    }
    if (oldest === null) return false;
    this.end(oldest, 'another tenant needs its place');
    return true;
  }

  private end(member: Member<C>, reason: string): void {
    member.state = 'ending';
    member.child.kill(reason);
  }
}

interface Waiter<C> {
  tenantId: string;
  resolve(lease: Lease<C>): void;
  reject(error: Error): void;
}

interface Member<C> {
  child: C;
  state: 'spare' | 'idle' | 'busy' | 'cleaning' | 'ending';
  tenantId: string | null;
  calls: number;
  startedAt: number;
  /** When its tenant got it. */
  takenAt: number;
  idleSince: number;
  firstRssBytes: number | null;
}

const RSS_CHECK_EVERY_CALLS = 50;
