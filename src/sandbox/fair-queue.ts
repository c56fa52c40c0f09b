/**
 * Waiters of many tenants, served by time used: whoever has had the least goes next, and among
 * equals whoever has waited longest (start-time fair queueing). A tenant that comes back starts
 * level with the rest, so that idleness earns no credit. Waiters of one tenant that need different
 * things stand in lanes of their own, so that none waits behind what it doesn't wait for; lanes take
 * turns.
 */
export class FairQueue<T> {
  private readonly waiting = new Map<string, Map<string, T[]>>();
  private readonly usedMs = new Map<string, number>();
  private floorMs = 0;
  private count = 0;

  /** @param laneOf what a waiter needs; all the same when left out */
  constructor(private readonly laneOf: (item: T) => string = () => '') {}

  get size(): number {
    return this.count;
  }

  push(tenantId: string, item: T): void {
    let lanes = this.waiting.get(tenantId);
    if (lanes === undefined) {
      lanes = new Map<string, T[]>();
      this.waiting.set(tenantId, lanes);
      this.usedMs.set(tenantId, Math.max(this.usedMs.get(tenantId) ?? 0, this.floorMs));
    }
    const lane = this.laneOf(item);
    const line = lanes.get(lane);
    if (line === undefined) lanes.set(lane, [item]);
    else line.push(item);
    this.count++;
  }

  /** How many of a tenant wait. */
  waitingOf(tenantId: string): number {
    let waiting = 0;
    for (const line of this.waiting.get(tenantId)?.values() ?? []) waiting += line.length;
    return waiting;
  }

  /** How many of a tenant wait in one lane. */
  waitingIn(tenantId: string, lane: string): number {
    return this.waiting.get(tenantId)?.get(lane)?.length ?? 0;
  }

  /** Takes the next waiter that is offered something; undefined when no one is. */
  take<O>(
    offer: (tenantId: string, lane: string) => O | undefined,
  ): { item: T; offered: O } | undefined {
    let next: { tenantId: string; lane: string; usedMs: number; offered: O } | null = null;
    for (const [tenantId, lanes] of this.waiting) {
      const usedMs = this.usedMs.get(tenantId) ?? 0;
      if (next !== null && usedMs >= next.usedMs) continue;
      for (const lane of lanes.keys()) {
        const offered = offer(tenantId, lane);
        if (offered === undefined) continue;
        next = { tenantId, lane, usedMs, offered };
        break;
      }
    }
    if (next === null) return undefined;
    this.floorMs = Math.max(this.floorMs, next.usedMs);
    const item = this.shift(next);
    return item === undefined ? undefined : { item, offered: next.offered };
  }

  /** Those who wait, by tenant and lane, with whoever has waited longest first. */
  *lines(): Generator<{ tenantId: string; lane: string; line: readonly T[] }> {
    for (const [tenantId, lanes] of this.waiting) {
      for (const [lane, line] of lanes) yield { tenantId, lane, line };
    }
  }

  /** Takes back a waiter that has given up. */
  remove(tenantId: string, item: T): boolean {
    const lane = this.laneOf(item);
    const lanes = this.waiting.get(tenantId);
    const line = lanes?.get(lane);
    const index = line?.indexOf(item) ?? -1;
    if (lanes === undefined || line === undefined || index === -1) return false;
    line.splice(index, 1);
    if (line.length === 0) lanes.delete(lane);
    if (lanes.size === 0) this.waiting.delete(tenantId);
    this.count--;
    return true;
  }

  /** Books what a tenant has used. Every turn costs something, so that equals take turns. */
  charge(tenantId: string, ms: number): void {
    this.usedMs.set(
      tenantId,
      Math.max(this.usedMs.get(tenantId) ?? 0, this.floorMs) + Math.max(ms, 1),
    );
    if (this.usedMs.size > MAX_REMEMBERED) this.forget();
  }

  /** Takes out everyone. */
  drain(): T[] {
    const all = [...this.lines()].flatMap(({ line }) => line);
    this.waiting.clear();
    this.count = 0;
    return all;
  }

  private shift({ tenantId, lane }: { tenantId: string; lane: string }): T | undefined {
    const lanes = this.waiting.get(tenantId);
    const line = lanes?.get(lane);
    const item = line?.shift();
    if (lanes === undefined || line === undefined) return undefined;
    // Back to the end of the maps: among equals the others come first now.
    lanes.delete(lane);
    if (line.length > 0) lanes.set(lane, line);
    this.waiting.delete(tenantId);
    if (lanes.size > 0) this.waiting.set(tenantId, lanes);
    this.count--;
    return item;
  }

  /** Those at or below the floor would start there anyway. */
  private forget(): void {
    for (const [tenantId, used] of this.usedMs) {
      if (used <= this.floorMs && !this.waiting.has(tenantId)) this.usedMs.delete(tenantId);
    }
  }
}

const MAX_REMEMBERED = 10_000;
