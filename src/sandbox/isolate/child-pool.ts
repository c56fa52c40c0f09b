import { FairQueue } from '../fair-queue.js';
import {
  CLOSING,
  PoolUnavailableError,
  type ChildPoolOptions,
  type Lease,
  type PooledChild,
  type PoolStats,
} from './pool-contract.js';
import { PoolCensus } from './pool-census.js';
import { PoolMembers, type Member } from './pool-members.js';

/**
 * The children: each serves one tenant, one call at a time. A call gets an idle child of its tenant,
 * else a spare, else a new one, else the place of another tenant's idle child, else it waits. Calls
 * may last long and cost nothing but memory, so a tenant that holds no child isn't left to wait for
 * their end: soon it gets a child from the reserve, beyond the usual number.
 */
export class ChildPool<C extends PooledChild> {
  private readonly queue = new FairQueue<Waiter<C>>();
  private readonly members: PoolMembers<C>;
  private timer: NodeJS.Timeout | null = null;
  private crashes = 0;
  private recycled = 0;
  private isClosed = false;

  constructor(private readonly options: ChildPoolOptions<C>) {
    this.members = new PoolMembers(options.maxChildren);
  }

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
        if (!this.queue.remove(tenantId, waiter)) return;
        reject(signal.reason as Error);
        // Others may have had to stand back for it.
        this.serve();
      };
      const waiter: Waiter<C> = {
        tenantId,
        since: performance.now(),
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
    return {
      children: this.members.alive,
      busy: this.members.count('busy') + this.members.count('cleaning'),
      idle: this.members.count('idle'),
      spares: this.members.count('spare'),
      starting: this.members.starting,
      queued: this.queue.size,
      crashes: this.crashes,
      recycled: this.recycled,
    };
  }

  /** Ends every child and waits until they are gone. Whoever waits is refused. */
  async close(): Promise<void> {
    this.isClosed = true;
    if (this.timer !== null) clearTimeout(this.timer);
    for (const waiter of this.queue.drain()) waiter.reject(new PoolUnavailableError(CLOSING));
    for (const member of this.members) this.members.end(member, CLOSING);
    while (this.members.alive > 0) {
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
      const census = this.census();
      const next = this.queue.take((tenantId) => this.freeFor(tenantId, census));
      if (next === undefined) break;
      this.lend(next.offered, next.item);
    }
    this.grow();
    this.drawOnReserve();
    this.retireSurplus();
    this.lookAgain();
  }

  private census(): PoolCensus {
    return new PoolCensus(this.members, this.queue, this.options.maxChildrenPerTenant);
  }

  /** Tenants that wait with no process at all get the places of those whose turn is over. */
  private endTurns(): void {
    const { turnMs = 200 } = this.options;
    const starved = this.starved(0).length - this.members.coming;
    const now = performance.now();
    if (starved > 0) {
      this.members.makeRoom(starved, ({ takenAt }) => now - takenAt >= turnMs, 'its turn is over');
    }
  }

  /** The lines of the tenants that hold no process and have waited for so long. */
  private starved(waitedMs: number): (readonly Waiter<C>[])[] {
    const census = this.census();
    const since = performance.now() - waitedMs;
    return [...this.queue.lines()]
      .filter(([tenantId, line]) => census.holdsNone(tenantId) && (line[0]?.since ?? 0) <= since)
      .map(([, line]) => line);
  }

  /** The child that a tenant's next call would get now: its own, else a spare. */
  private freeFor(tenantId: string, census: PoolCensus): Member<C> | undefined {
    if (!census.mayTakeOne(tenantId)) return undefined;
    let spare: Member<C> | undefined;
    for (const member of this.members) {
      const isOurs = member.tenantId === tenantId || !this.options.tenantChildren;
      if (member.state === 'idle' && isOurs) return member;
      if (member.state === 'spare') spare = member;
    }
    return census.wants(tenantId, this.queue.waitingOf(tenantId)) > 0 ? spare : undefined;
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
    if (!isReusable) this.members.end(member, 'its call ended badly');
    else if (this.hasServedEnough(member)) {
      this.recycled++;
      this.members.end(member, 'it has served enough');
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
    this.members.end(member, 'its memory has grown');
  }

  /** Starts what the waiting and the spares want, within the limit; makes room if it must. */
  private grow(): void {
    const { maxChildren, spares } = this.options;
    let wanted = this.census().wantedByAll() - this.members.starting;
    for (; wanted > 0 && this.members.alive < maxChildren; wanted--) void this.startOne();
    const unmet = wanted - this.members.count('ending');
    if (unmet > 0) this.members.makeRoom(unmet, () => true, 'another tenant needs its place');
    const missing = spares - this.members.count('spare') - this.members.starting;
    for (let i = 0; i < missing && this.members.alive < maxChildren; i++) void this.startOne();
  }

  /** Tenants that hold nothing and have waited get a child beyond the limit; past that one, a refusal. */
  private drawOnReserve(): void {
    const { maxChildrenWithReserve, patienceMs = 250, giveUpMs = 10_000 } = this.options;
    const { members } = this;
    const coming = members.starting + members.count('spare') + members.count('ending');
    let needed = this.starved(patienceMs).length - coming;
    for (; needed > 0 && members.alive < maxChildrenWithReserve; needed--) void this.startOne();
    if (needed <= 0) return;
    const isIdle = ({ state }: Member<C>): boolean => state === 'idle';
    for (; needed > 0 && members.endLongestIdle(isIdle, 'another tenant has none'); needed--);
    const since = performance.now() - giveUpMs;
    for (const waiter of this.starved(giveUpMs).flat()) {
      if (waiter.since > since || !this.queue.remove(waiter.tenantId, waiter)) continue;
      waiter.reject(new PoolUnavailableError('all sandbox children are taken by other calls'));
    }
  }

  /** What the reserve has lent comes back once it stands idle. */
  private retireSurplus(): void {
    const { surplusIdleMs = 2_000 } = this.options;
    const until = performance.now() - surplusIdleMs;
    const isDue = ({ state, idleSince }: Member<C>): boolean =>
      (state === 'idle' || state === 'spare') && idleSince <= until;
    for (let surplus = this.members.surplus(); surplus > 0; surplus--) {
      if (!this.members.endLongestIdle(isDue, 'there are enough without it')) return;
    }
  }

  /** Waiting and standing idle make no event when they have lasted long enough. */
  private lookAgain(): void {
    if (this.members.surplus() === 0 && this.starved(0).length === 0) {
      if (this.timer !== null) clearTimeout(this.timer);
      this.timer = null;
      return;
    }
    if (this.timer !== null) return;
    this.timer = setTimeout(() => {
      this.timer = null;
      this.serve();
    }, LOOK_MS).unref();
  }

  private async startOne(): Promise<void> {
    this.members.starting++;
    try {
      const child = await this.options.start();
      this.members.starting--;
      this.adopt(child);
    } catch (error) {
      this.members.starting--;
      this.options.log('error', 'sandbox.child_failed_to_start', { error: String(error) });
      // Whoever has waited longest hears of it; the rest try again with the next start.
      this.queue
        .take(() => true)
        ?.item.reject(new PoolUnavailableError('sandbox children do not start'));
      if (this.queue.size > 0) this.serve();
    }
  }

  private adopt(child: C): void {
    const member = this.members.add(child);
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
    if (this.isClosed) this.members.end(member, CLOSING);
    else this.serve();
  }
}

interface Waiter<C> {
  tenantId: string;
  since: number;
  resolve(lease: Lease<C>): void;
  reject(error: Error): void;
}

const RSS_CHECK_EVERY_CALLS = 50;
const LOOK_MS = 50;
