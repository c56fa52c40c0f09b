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
