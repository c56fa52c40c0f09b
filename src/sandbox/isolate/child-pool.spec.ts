import { describe, expect, it } from '@jest/globals';

import { ChildPool } from './child-pool.js';
import type { TrustClass } from '../sandbox.js';
import { eventually } from './isolate-sandbox.harness.js';
import { DEFAULT_RECYCLE } from './isolate-options.js';
import { PoolUnavailableError, type ChildPoolOptions, type Lease } from './pool-contract.js';

class FakeChild {
  static made = 0;
  readonly pid = ++FakeChild.made;
  killedFor: string | null = null;
  rss = 50 * 2 ** 20;
  private readonly end = Promise.withResolvers<undefined>();
  readonly exited = this.end.promise;

  kill(reason: string): void {
    this.killedFor ??= reason;
    this.end.resolve(undefined);
  }
}

interface Setup {
  pool: ChildPool<FakeChild>;
  children: FakeChild[];
  acquire: (
    tenantId: string,
    signal?: AbortSignal,
    trust?: TrustClass,
  ) => Promise<Lease<FakeChild>>;
}

function setup(options: Partial<ChildPoolOptions<FakeChild>> = {}): Setup {
  const children: FakeChild[] = [];
  const pool = new ChildPool<FakeChild>({
    maxChildren: 2,
    maxChildrenWithReserve: 6,
    maxChildrenPerTenant: 2,
    spares: 0,
    recycle: DEFAULT_RECYCLE,
    tenantChildren: true,
    missingMemoryBytes: () => 0,
    log: () => undefined,
    rssBytes: (child) => child.rss,
    start: () => {
      const child = new FakeChild();
      children.push(child);
      return Promise.resolve(child);
    },
    ...options,
  });
  return {
    pool,
    children,
    acquire: (tenantId, signal = new AbortController().signal, trust = 'third_party') =>
      pool.acquire({ tenantId, trust }, signal),
  };
}

/** Times of two events that differ. */
function later(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 2));
}

describe('ChildPool', () => {
  it('gives a tenant its own child again, and another tenant another one', async () => {
    const { acquire, children } = setup();
    const first = await acquire('a');
    first.release(true);
    const again = await acquire('a');
    expect(again.child).toBe(first.child);
    again.release(true);
    expect((await acquire('b')).child).not.toBe(first.child);
    expect(children).toHaveLength(2);
  });

  it('waits for a child that is cleaning up instead of starting one', async () => {
    const { acquire, children } = setup({ spares: 1 });
    const first = await acquire('a');
    await eventually(() => children.length === 2);
    first.settle();
    const second = acquire('a');
    first.release(true);
    expect((await second).child).toBe(first.child);
    expect(children).toHaveLength(2);
  });

  it('takes the place of the child that has been idle longest', async () => {
    const { acquire, children, pool } = setup();
    const [a, b] = [await acquire('a'), await acquire('b')];
    a.release(true);
    await eventually(() => pool.stats().idle === 1);
    b.release(true);
    const c = await acquire('c');
    expect(a.child.killedFor).toMatch(/another tenant/);
    expect(b.child.killedFor).toBeNull();
    expect(children).toHaveLength(3);
    expect(pool.stats()).toMatchObject({ children: 2, busy: 1, idle: 1, queued: 0 });
    c.release(true);
  });

  it('ends the one used least recently, not the oldest, and lends the one used last', async () => {
    const { acquire } = setup({ maxChildren: 3 });
    const b = await acquire('b');
    const [first, second] = [await acquire('a'), await acquire('a')];
    for (const lease of [first, b, second]) {
      lease.release(true);
      await later();
    }
    expect((await acquire('a')).child).toBe(second.child);
    await acquire('c');
    expect(first.child.killedFor).toMatch(/another tenant/);
    expect(b.child.killedFor).toBeNull();
  });

  it('gives a child to one tenant and one class of trust', async () => {
    const { acquire, children } = setup({ maxChildren: 3 });
    const plugin = await acquire('a');
    plugin.release(true);
    const own = await acquire('a', undefined, 'own_code');
    expect(own.child).not.toBe(plugin.child);
    own.release(true);
    expect((await acquire('a', undefined, 'own_code')).child).toBe(own.child);
    expect((await acquire('a')).child).toBe(plugin.child);
    expect(children).toHaveLength(2);
  });

  it("takes the place of the tenant's own idle child of another class", async () => {
    const { acquire } = setup({ maxChildren: 1 });
    const plugin = await acquire('a');
    plugin.release(true);
    const own = await acquire('a', undefined, 'own_code');
    expect(plugin.child.killedFor).not.toBeNull();
    own.release(true);
  });

  it('lets no class of a tenant wait behind another, also at its limit', async () => {
    const { acquire } = setup({ maxChildren: 4, maxChildrenPerTenant: 2 });
    const held = await Promise.all([acquire('a'), acquire('a')]);
    const order: string[] = [];
    const waiting = (['third_party', 'third_party', 'operator'] as const).map(async (trust) => {
      const lease = await acquire('a', undefined, trust);
      order.push(trust);
      return lease;
    });
    held[0].release(true);
    const operator = await waiting[2];
    expect(order).toEqual(['operator']);
    operator?.release(true);
    for (const lease of await Promise.all(waiting.slice(0, 1))) lease.release(true);
    held[1].release(true);
    await waiting[1];
  });

  it('swaps classes by turns where there is but one child', async () => {
    const { acquire, children } = setup({ maxChildren: 1, turnMs: 0 });
    const order: string[] = [];
    const held = await acquire('a');
    const classes = ['third_party', 'third_party', 'own_code'] as const;
    const waiting = classes.map(async (trust) => {
      const lease = await acquire('a', undefined, trust);
      order.push(trust);
      lease.release(true);
    });
    held.release(true);
    await Promise.all(waiting);
    expect(order.indexOf('own_code')).toBeLessThan(2);
    expect(children.length).toBeLessThanOrEqual(4);
  });

  it('gives a tenant from the reserve whose idle child is of another class', async () => {
    const { acquire, pool } = setup({ patienceMs: 10, surplusIdleMs: 60_000 });
    const held = await Promise.all([acquire('a'), acquire('a')]);
    const b = await acquire('b');
    b.release(true);
    const own = await acquire('b', undefined, 'own_code');
    expect(pool.stats().busy).toBe(3);
    own.release(true);
    held[0].release(true);
  });

  it('ends what stands idle while memory is short, the longest idle first', async () => {
    let missing = 0;
    const { acquire, pool } = setup({
      maxChildren: 4,
      spares: 1,
      missingMemoryBytes: () => missing,
      memoryWatch: { everyMs: 5, calmMs: 40 },
    });
    const [a, b] = [await acquire('a'), await acquire('b')];
    const busy = await acquire('c');
    await eventually(() => pool.stats().spares === 1);
    await later();
    a.release(true);
    await later();
    b.release(true);
    missing = 60 * 2 ** 20; // Two children's worth: the spare, and the one that has been idle longer.
    await eventually(() => pool.stats().spares === 0 && a.child.killedFor !== null);
    missing = 0;
    expect(a.child.killedFor).toMatch(/short of memory/);
    expect(busy.child.killedFor).toBeNull();
    // It works on, and makes spares again once memory has been there for a while.
    (await acquire('d')).release(true);
    await eventually(() => pool.stats().spares === 1);
    await pool.close();
  });

  it('serves those who wait by turns, whoever came first in numbers', async () => {
    const { acquire } = setup({ maxChildren: 1, turnMs: 0 });
    const order: string[] = [];
    const held = await acquire('x');
    const waiting = ['a', 'a', 'a', 'b', 'c'].map(async (tenantId) => {
      const lease = await acquire(tenantId);
      order.push(tenantId);
      lease.release(true);
    });
    held.release(true);
    await Promise.all(waiting);
    expect(order.slice(0, 3).sort()).toEqual(['a', 'b', 'c']);
  });

  it('lets a tenant finish its turn before its child has to go', async () => {
    const { acquire, children } = setup({ maxChildren: 1, turnMs: 60_000 });
    const order: string[] = [];
    const held = await acquire('a');
    const waiting = ['a', 'b', 'a'].map(async (tenantId) => {
      const lease = await acquire(tenantId);
      order.push(tenantId);
      lease.release(true);
    });
    held.release(true);
    await Promise.all(waiting);
    expect(order).toEqual(['a', 'a', 'b']);
    expect(children).toHaveLength(2);
  });

  it('leaves room for others when one tenant wants all', async () => {
    const { acquire, pool } = setup({ maxChildren: 3, maxChildrenPerTenant: 2 });
    const held = await Promise.all([acquire('a'), acquire('a')]);
    const third = acquire('a');
    const other = await acquire('b');
    expect(pool.stats()).toMatchObject({ busy: 3, queued: 1 });
    held[0].release(true);
    expect((await third).child).toBe(held[0].child);
    other.release(true);
  });

  it('lets no one wait for the end of calls that last, when they hold no child', async () => {
    const { acquire, pool } = setup({ patienceMs: 20, surplusIdleMs: 30 });
    const held = await Promise.all([acquire('a'), acquire('a')]);
    const [b, c] = await Promise.all([acquire('b'), acquire('c')]);
    expect(pool.stats()).toMatchObject({ children: 4, busy: 4 });
    // One is what the reserve is for: the second of a tenant waits like everyone's.
    const second = acquire('b');
    b.release(true);
    expect((await second).child).toBe(b.child);
    c.release(true);
    await eventually(() => pool.stats().children === 3);
    expect(c.child.killedFor).toMatch(/enough without it/);
    expect(pool.stats()).toMatchObject({ busy: 3, queued: 0 });
    held[0].release(true);
    await eventually(() => pool.stats().children === 2);
  });

  it('keeps to the bound of the reserve, and refuses those who wait at it for long', async () => {
    const { acquire, pool } = setup({ patienceMs: 5, giveUpMs: 60, maxChildrenWithReserve: 4 });
    await Promise.all([acquire('a'), acquire('a')]);
    const [b] = await Promise.all([acquire('b'), acquire('c')]);
    const refused = acquire('d');
    const patient = acquire('b');
    await expect(refused).rejects.toThrow(PoolUnavailableError);
    expect(pool.stats()).toMatchObject({ children: 4, queued: 1 });
    b.release(true);
    expect((await patient).child).toBe(b.child);
  });

  it('gives no one another child while one waits that has fewer', async () => {
    const { acquire, pool } = setup({
      maxChildren: 4,
      maxChildrenWithReserve: 4,
      maxChildrenPerTenant: 3,
    });
    const ofA = await Promise.all([acquire('a'), acquire('a'), acquire('a')]);
    await acquire('b');
    const wanted = { a: 0, b: 0 };
    const take = (tenantId: 'a' | 'b'): void => {
      void acquire(tenantId).then(() => wanted[tenantId]++);
    };
    take('a');
    take('b');
    ofA[0].release(true);
    await eventually(() => wanted.b === 1);
    expect(wanted.a).toBe(0);
    expect(pool.stats()).toMatchObject({ children: 4, busy: 4, queued: 1 });
    // Two of each: now the tenant's own child is its own again.
    ofA[1].release(true);
    await eventually(() => wanted.a === 1);
  });

  it('lets the others go on when the one that they stood back for gives up', async () => {
    const stuck = Promise.withResolvers<FakeChild>();
    let starts = 0;
    const { acquire } = setup({
      maxChildren: 5,
      maxChildrenPerTenant: 4,
      start: () => (++starts <= 4 ? Promise.resolve(new FakeChild()) : stuck.promise),
    });
    const [first] = await Promise.all([acquire('a'), acquire('a'), acquire('a')]);
    await acquire('b');
    const giveUp = new AbortController();
    const other = acquire('b', giveUp.signal);
    const mine = acquire('a');
    first.release(true);
    giveUp.abort(new Error('enough'));
    await expect(other).rejects.toThrow('enough');
    expect((await mine).child).toBe(first.child);
  });

  it('forgets a waiter that aborts', async () => {
    const { acquire, pool } = setup({ maxChildren: 1 });
    const held = await acquire('a');
    const controller = new AbortController();
    const waiting = acquire('b', controller.signal);
    expect(pool.stats().queued).toBe(1);
    controller.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    expect(pool.stats().queued).toBe(0);
    held.release(true);
    await expect(acquire('a', AbortSignal.abort(new Error('late')))).rejects.toThrow('late');
  });

  it('kills what ended badly or has served enough', async () => {
    const { acquire, pool } = setup({ recycle: { ...DEFAULT_RECYCLE, calls: 2 } });
    const bad = await acquire('a');
    bad.release(false);
    expect(bad.child.killedFor).not.toBeNull();
    const first = await acquire('a');
    first.release(true);
    const second = await acquire('a');
    expect(second.child).toBe(first.child);
    second.release(true);
    expect(second.child.killedFor).toMatch(/served enough/);
    expect(pool.stats().recycled).toBe(1);
  });

  it('ends a child whose memory has grown', async () => {
    const { acquire, pool } = setup({ recycle: { ...DEFAULT_RECYCLE, rssGrowthMb: 10 } });
    for (let i = 0; i < 100; i++) {
      const lease = await acquire('a');
      if (i === 60) lease.child.rss += 20 * 2 ** 20;
      lease.release(true);
    }
    await eventually(() => pool.stats().recycled === 1);
  });

  it('counts a child that ends by itself, and does without it', async () => {
    const { acquire, pool } = setup();
    const first = await acquire('a');
    first.child.kill('not by the pool');
    await eventually(() => pool.stats().crashes === 1);
    first.release(true);
    expect((await acquire('a')).child).not.toBe(first.child);
  });

  it('keeps spares, within the limit', async () => {
    const { acquire, pool } = setup({ maxChildren: 3, spares: 2 });
    pool.warm();
    await eventually(() => pool.stats().spares === 2);
    await acquire('a');
    await eventually(() => pool.stats().spares === 2);
    await acquire('b');
    await eventually(() => pool.stats().starting === 0);
    expect(pool.stats()).toMatchObject({ children: 3, busy: 2, spares: 1 });
  });

  it('says so when children do not start, and when it is closed', async () => {
    const broken = setup({ start: () => Promise.reject(new Error('no such file')) });
    await expect(broken.acquire('a')).rejects.toThrow(PoolUnavailableError);
    const { acquire, pool } = setup({ maxChildren: 1 });
    const held = await acquire('a');
    const waiting = acquire('b');
    await Promise.all([pool.close(), expect(waiting).rejects.toThrow(PoolUnavailableError)]);
    expect(held.child.killedFor).not.toBeNull();
    await expect(acquire('a')).rejects.toThrow(PoolUnavailableError);
    expect(pool.stats().children).toBe(0);
  });
});
