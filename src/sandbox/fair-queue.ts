/**
 * Waiters of many tenants, served by time used: whoever has had the least goes next, and among
 * equals whoever has waited longest (start-time fair queueing). A tenant that comes back starts
 * level with the rest, so that idleness earns no credit.
 */
export class FairQueue<T> {
  private readonly waiting = new Map<string, T[]>();
  private readonly usedMs = new Map<string, number>();
  private floorMs = 0;
  private count = 0;

  get size(): number {
    return this.count;
  }

  push(tenantId: string, item: T): void {
    const line = this.waiting.get(tenantId);
    if (line === undefined) {
      this.waiting.set(tenantId, [item]);
      this.usedMs.set(tenantId, Math.max(this.usedMs.get(tenantId) ?? 0, this.floorMs));
    } else line.push(item);
    this.count++;
  }

  /** How many of a tenant wait. */
  waitingOf(tenantId: string): number {
    return this.waiting.get(tenantId)?.length ?? 0;
  }

  /** Takes the next waiter whose tenant is offered something; undefined when no one is. */
  take<O>(offer: (tenantId: string) => O | undefined): { item: T; offered: O } | undefined {
    let next: { tenantId: string; usedMs: number; offered: O } | null = null;
    for (const tenantId of this.waiting.keys()) {
      const usedMs = this.usedMs.get(tenantId) ?? 0;
      if (next !== null && usedMs >= next.usedMs) continue;
      const offered = offer(tenantId);
      if (offered !== undefined) next = { tenantId, usedMs, offered };
    }
    if (next === null) return undefined;
    this.floorMs = Math.max(this.floorMs, next.usedMs);
    const item = this.shift(next.tenantId);
    return item === undefined ? undefined : { item, offered: next.offered };
  }

  /** The lines of those who wait: each tenant once, with whoever has waited longest first. */
  lines(): Iterable<[tenantId: string, line: readonly T[]]> {
    return this.waiting.entries();
  }

  /** Adds up, over all tenants that wait, what `of` makes of the length of their line. */
  total(of: (tenantId: string, waiting: number) => number): number {
    let total = 0;
    for (const [tenantId, line] of this.waiting) total += of(tenantId, line.length);
    return total;
  }

  /** Takes back a waiter that has given up. */
  remove(tenantId: string, item: T): boolean {
    const line = this.waiting.get(tenantId);
    const index = line?.indexOf(item) ?? -1;
    if (line === undefined || index === -1) return false;
    line.splice(index, 1);
    if (line.length === 0) this.waiting.delete(tenantId);
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
    const all = [...this.waiting.values()].flat();
    this.waiting.clear();
    this.count = 0;
    return all;
  }

  private shift(tenantId: string): T | undefined {
    const line = this.waiting.get(tenantId) ?? [];
    const item = line.shift();
    this.waiting.delete(tenantId);
    // Back to the end of the map: among equals the others come first now.
    if (line.length > 0) this.waiting.set(tenantId, line);
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
