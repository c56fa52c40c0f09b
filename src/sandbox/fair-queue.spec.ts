import { describe, expect, it } from '@jest/globals';

import { FairQueue } from './fair-queue.js';

const anyone = (): true => true;

/** Takes everyone in turn, and books the same time for each. */
function takeAll(queue: FairQueue<string>, costMs: (item: string) => number = () => 10): string[] {
  const order: string[] = [];
  for (let next = queue.take(anyone); next !== undefined; next = queue.take(anyone)) {
    order.push(next.item);
    queue.charge(next.item.charAt(0), costMs(next.item));
  }
  return order;
}

describe('FairQueue', () => {
  it('serves tenants in turn, and each tenant in order', () => {
    const queue = new FairQueue<string>();
    for (const item of ['a1', 'a2', 'a3', 'b1', 'c1', 'c2']) queue.push(item.charAt(0), item);
    expect(takeAll(queue)).toEqual(['a1', 'b1', 'c1', 'a2', 'c2', 'a3']);
    expect(queue.size).toBe(0);
  });

  it('gives a tenant of short calls as much time as one of long calls', () => {
    const queue = new FairQueue<string>();
    for (let i = 0; i < 20; i++) queue.push('a', `a${String(i)}`);
    for (let i = 0; i < 20; i++) queue.push('b', `b${String(i)}`);
    const order = takeAll(queue, (item) => (item.startsWith('a') ? 100 : 10));
    expect(order.slice(0, 12).filter((item) => item.startsWith('b')).length).toBeGreaterThanOrEqual(
      9,
    );
  });

  it('lets a newcomer in before tenants that have used much, and no one save up for later', () => {
    const queue = new FairQueue<string>();
    for (const tenant of ['a', 'b']) queue.charge(tenant, 1000);
    for (const item of ['a1', 'b1', 'a2', 'b2']) queue.push(item.charAt(0), item);
    queue.push('n', 'n1');
    expect(queue.take(anyone)?.item).toBe('n1');
    queue.charge('n', 10);
    expect(queue.take(anyone)?.item).toBe('a1');
    // n was idle while the others worked: it starts level, and doesn't get a thousand turns.
    for (let i = 2; i < 6; i++) queue.push('n', `n${String(i)}`);
    expect(takeAll(queue).slice(0, 4)).toEqual(['b1', 'a2', 'n2', 'b2']);
  });

  it('lets no one wait behind another lane of the same tenant, and charges the tenant for all', () => {
    const queue = new FairQueue<string>((item) => item.charAt(1));
    for (const item of ['ax1', 'ax2', 'ay1', 'ax3', 'bx1']) queue.push(item.charAt(0), item);
    expect(queue.waitingOf('a')).toBe(4);
    expect(queue.waitingIn('a', 'x')).toBe(3);
    expect(queue.take((_tenant, lane) => (lane === 'y' ? 1 : undefined))?.item).toBe('ay1');
    expect(queue.remove('a', 'ax2')).toBe(true);
    queue.push('a', 'ay2');
    expect([...queue.lines()]).toEqual([
      { tenantId: 'b', lane: 'x', line: ['bx1'] },
      { tenantId: 'a', lane: 'x', line: ['ax1', 'ax3'] },
      { tenantId: 'a', lane: 'y', line: ['ay2'] },
    ]);
    expect(takeAll(queue)).toEqual(['bx1', 'ax1', 'ay2', 'ax3']);
    expect(queue.size).toBe(0);
  });

  it('passes over tenants that may not be served, and forgets those who give up', () => {
    const queue = new FairQueue<string>();
    queue.push('a', 'a1');
    queue.push('b', 'b1');
    queue.push('b', 'b2');
    expect(queue.take((tenant) => (tenant === 'b' ? 'room' : undefined))).toEqual({
      item: 'b1',
      offered: 'room',
    });
    expect(queue.remove('b', 'b2')).toBe(true);
    expect(queue.remove('b', 'b2')).toBe(false);
    expect(queue.take((tenant) => (tenant === 'b' ? 1 : undefined))).toBeUndefined();
    expect(queue.size).toBe(1);
    expect(queue.drain()).toEqual(['a1']);
  });
});
