import { describe, expect, it } from '@jest/globals';

import type { Clock } from '../common/clock.js';
import { HostPlaces, type Walked, type Walks } from './host-places.js';

describe('the places of a host', () => {
  it('are given to the queue first, and to new runs once that has nothing', () => {
    const { places, reserve } = world();
    expect(reserve('a')).toBe(false);
    places.settleWithQueue();
    expect(reserve('a')).toBe(true);
  });

  it('belong to the queue again as soon as somebody found none', () => {
    const { places, reserve, walk } = world({ max: 2, settled: true });
    walk('a', 2);
    expect(reserve('b')).toBe(false);
    expect(places.owesQueue).toBe(true);
    walk('a', 1);
    expect(reserve('b')).toBe(false);
    places.settleWithQueue();
    expect(reserve('b')).toBe(true);
  });

  it('are all for one tenant while no other wants any, and half of them when one does', () => {
    const alone = world({ settled: true });
    for (let i = 0; i < 10; i++) expect(alone.reserve('a')).toBe(true);

    const shared = world({ settled: true });
    expect(shared.reserve('b')).toBe(true);
    for (let i = 0; i < 5; i++) expect(shared.reserve('a')).toBe(true);
    expect(shared.reserve('a')).toBe(false);
    expect(shared.reserve('b')).toBe(true);
    shared.pass(11_000);
    expect(shared.reserve('a')).toBe(true);
  });

  it('count what claims may bring, who leave half of what is free', () => {
    const { places, reserve } = world({ max: 40, settled: true });
    expect(places.beginClaim('a', walks([]))).toBe(20);
    expect(places.beginClaim('b', walks([]))).toBe(10);
    expect(places.beginClaim('c', walks([]))).toBe(10);
    expect(places.isFull(walks([]))).toBe(true);
    expect(reserve('d')).toBe(false);
    places.endClaim(20);
    expect(places.countFree(walks([]))).toBe(20);
  });

  it('are not taken by runs that rest, up to ten times as many', () => {
    const { places } = world({ max: 2 });
    const resting = (count: number): Walked[] =>
      Array.from({ length: count }, () => ({ tenantId: 'a', isResting: true }));
    expect(places.countFree(walks(resting(18)))).toBe(2);
    expect(places.countFree(walks(resting(19)))).toBe(1);
    expect(places.countFree(walks(resting(20)))).toBe(0);
  });
});

function world({ max = 10, settled = false } = {}): {
  places: HostPlaces;
  reserve: (tenantId: string) => boolean;
  walk: (tenantId: string, count: number) => void;
  pass: (ms: number) => void;
} {
  let nowMs = 0;
  let nextId = 0;
  let walked: Walked[] = [];
  const clock: Clock = {
    now: () => nowMs,
    monotonic: () => nowMs,
    sleep: () => Promise.reject(new Error('nobody sleeps here')),
  };
  const places = new HostPlaces(max, clock);
  if (settled) places.settleWithQueue();
  return {
    places,
    reserve: (tenantId) =>
      places.reserve({ executionId: String(nextId++), tenantId }, walks(walked)),
    walk: (tenantId, count) => {
      walked = Array.from({ length: count }, () => ({ tenantId, isResting: false }));
    },
    pass: (ms) => {
      nowMs += ms;
    },
  };
}

function walks(walked: readonly Walked[]): Walks {
  return {
    size: walked.length,
    sizeOf: (tenantId) => walked.filter((one) => one.tenantId === tenantId).length,
    list: () => walked,
  };
}
