import { FairQueue } from '../fair-queue.js';
import { MemoryWatch } from './memory-watch.js';
import { CHILD_BYTES } from './pool-size.js';
import {
  CLOSING,
  PoolUnavailableError,
  type ChildOwner,
  type ChildPoolOptions,
  type Lease,
  type PooledChild,
  type PoolStats,
} from './pool-contract.js';
import { PoolCensus } from './pool-census.js';
import { PoolMembers, type Member } from './pool-members.js';
import { Recycling } from './recycling.js';

/**
 * The children: each serves one tenant and one class of trust, one call at a time. A call gets an idle
 * child of its owner's, else a spare, else a new one, else the place of the child that has been idle
 * longest, else it waits. Calls may last long and cost nothing but memory, so a tenant that has no
 * child in use isn't left to wait for their end: soon it gets a child from the reserve, beyond the
 * usual number. Whatever stands idle goes while the machine is short of memory.
 */
export class ChildPool<C extends PooledChild> {
  private readonly queue = new FairQueue<Waiter<C>>(({ trust }) => trust);
  private readonly members: PoolMembers<C>;
  private readonly recycling: Recycling<C>;
  private timer: NodeJS.Timeout | null = null;
  private readonly memory: MemoryWatch;
  private crashes = 0;
  private recycled = 0;
  private isClosed = false;

  constructor(private readonly options: ChildPoolOptions<C>) {
    this.members = new PoolMembers(options.maxChildren);
    this.memory = new MemoryWatch({
      missingBytes: () => options.missingMemoryBytes(),
      onShort: (missingBytes, isNew) => {
        this.endIdle(missingBytes, isNew);
      },
      onEnough: () => {
        this.serve();
      },
      ...options.memoryWatch,
    });
    this.recycling = new Recycling(options.recycle, (child) => options.rssBytes(child));
  }

  /**
   * Waits for a child for a tenant's code of one class.
   * @throws the signal's reason when it aborts first, PoolUnavailableError when there will be none.
   */
  acquire({ tenantId, trust }: ChildOwner, signal: AbortSignal): Promise<Lease<C>> {
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
        trust,
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
    this.memory.stop();
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
      const next = this.queue.take((tenantId, lane) => this.freeFor(tenantId, lane, census));
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

  /** Those who wait with no process at all get the places of those whose turn is over. */
  private endTurns(): void {
    const { turnMs = 200 } = this.options;
    const census = this.census();
    let waiting = -this.members.coming;
    for (const { tenantId, lane } of this.queue.lines()) {
      if (census.holdsNone(tenantId, lane)) waiting++;
    }
    const now = performance.now();
    if (waiting > 0) {
      this.members.makeRoom(waiting, ({ takenAt }) => now - takenAt >= turnMs, 'its turn is over');
    }
  }

  /** The lines, by tenant, of those that have nothing in use and have waited for so long. */
  private starved(waitedMs: number): Map<string, readonly Waiter<C>[]> {
    const census = this.census();
    const since = performance.now() - waitedMs;
    const starved = new Map<string, readonly Waiter<C>[]>();
    for (const { tenantId, lane, line } of this.queue.lines()) {
      if (!census.isWithout(tenantId, lane) || (line[0]?.since ?? 0) > since) continue;
      starved.set(tenantId, [...(starved.get(tenantId) ?? []), ...line]);
    }
    return starved;
  }

  /** The child that a tenant's next call in a lane would get now: its own, else a spare. */
  private freeFor(tenantId: string, lane: string, census: PoolCensus): Member<C> | undefined {
    if (!census.mayTakeOne(tenantId, lane)) return undefined;
    let own: Member<C> | undefined;
    let spare: Member<C> | undefined;
    for (const member of this.members) {
      const isOurs = member.tenantId === tenantId && member.trust === lane;
      if (member.state === 'idle' && (isOurs || !this.options.tenantChildren)) {
        // The one used last is warm; those that nobody needs any more grow old, and go first.
        if (own === undefined || member.idleSince > own.idleSince) own = member;
      }
      if (member.state === 'spare') spare = member;
    }
    if (own !== undefined) return own;
    return census.canUseOne(tenantId, lane) ? spare : undefined;
  }

  private lend(member: Member<C>, waiter: Waiter<C>): void {
    if (member.tenantId === null) member.takenAt = performance.now();
    member.state = 'busy';
    member.tenantId = waiter.tenantId;
    member.trust = waiter.trust;
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
    else if (this.recycling.hasServedEnough(member)) {
      this.recycled++;
      this.members.end(member, 'it has served enough');
    } else {
      member.state = 'idle';
      member.idleSince = performance.now();
      void this.checkGrowth(member);
    }
    this.serve();
  }

  private async checkGrowth(member: Member<C>): Promise<void> {
    if (!(await this.recycling.hasGrown(member)) || member.state !== 'idle') return;
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
    if (this.memory.isShort) return;
    const missing = spares - this.members.count('spare') - this.members.starting;
    for (let i = 0; i < missing && this.members.alive < maxChildren; i++) void this.startOne();
  }

  /** Tenants that hold nothing and have waited get a child beyond the limit; past that one, a refusal. */
  private drawOnReserve(): void {
    const { maxChildrenWithReserve, patienceMs = 250, giveUpMs = 10_000 } = this.options;
    const { members } = this;
    const coming = members.starting + members.count('spare') + members.count('ending');
    let needed = this.starved(patienceMs).size - coming;
    for (; needed > 0 && members.alive < maxChildrenWithReserve; needed--) void this.startOne();
    if (needed <= 0) return;
    const isIdle = ({ state }: Member<C>): boolean => state === 'idle';
    for (; needed > 0 && members.endLongestIdle(isIdle, 'another tenant has none'); needed--);
    const since = performance.now() - giveUpMs;
    for (const waiter of [...this.starved(giveUpMs).values()].flat()) {
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
    if (this.members.surplus() === 0 && this.starved(0).size === 0) {
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

  /** Children that only stand ready cost what the machine lacks; whoever needs one gets it anew. */
  private endIdle(missingBytes: number, isNew: boolean): void {
    if (isNew) this.options.log('warn', 'sandbox.short_of_memory', { missingBytes });
    const isFree = ({ state }: Member<C>): boolean => state === 'idle' || state === 'spare';
    for (let missing = missingBytes; missing > 0; missing -= CHILD_BYTES) {
      if (!this.members.endLongestIdle(isFree, 'the machine is short of memory')) return;
    }
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
          trust: member.trust,
        });
        member.state = 'ending';
      }
      this.serve();
    });
    if (this.isClosed) this.members.end(member, CLOSING);
    else {
      this.memory.start();
      this.serve();
    }
  }
}

interface Waiter<C> extends ChildOwner {
  since: number;
  resolve(lease: Lease<C>): void;
  reject(error: Error): void;
}

const LOOK_MS = 50;
