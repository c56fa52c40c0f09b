import { describe, expect, it } from '@jest/globals';

import type { IsolateSource } from './isolate-source.js';
import type { GuestRealm } from './kernel-isolate.js';
import { WarmIsolates } from './warm-isolates.js';

const KEY = { digest: 'sha256-a', heapMb: 64 };
const CLEAN = { isClean: true, keepsContext: false };

class FakeIsolate {
  readonly heapMb = 64;
  isDisposed = false;
  realms = 0;
  dropped: GuestRealm[] = [];
  used = 2 ** 20;
  hasRoom = true;

  makeRealm(): GuestRealm {
    if (!this.hasRoom) throw new Error('no room');
    this.realms++;
    return { receiver: null } as GuestRealm;
  }

  dropRealm(realm: GuestRealm): void {
    this.dropped.push(realm);
  }

  usedBytes(): number {
    return this.used;
  }

  dispose(): void {
    this.isDisposed = true;
  }
}

function setup(): { warm: WarmIsolates; made: FakeIsolate[]; prepared: number[] } {
  const made: FakeIsolate[] = [];
  const prepared: number[] = [];
  const source = {
    take: () => {
      const isolate = new FakeIsolate();
      made.push(isolate);
      return { isolate, realm: isolate.makeRealm() };
    },
    prepare: (heapMb: number) => {
      prepared.push(heapMb);
    },
  } as unknown as Pick<IsolateSource, 'take' | 'prepare'>;
  return { warm: new WarmIsolates(source), made, prepared };
}

describe('WarmIsolates', () => {
  it('gives each call a realm of its own, and a new isolate after sixteen', () => {
    const { warm, made } = setup();
    const seen = new Set<GuestRealm>();
    for (let i = 0; i < 40; i++) {
      const realm = warm.take(KEY);
      seen.add(realm);
      warm.giveBack(KEY, realm, CLEAN);
      warm.prepare(KEY);
    }
    expect(seen.size).toBe(40);
    expect(made.map(({ isDisposed }) => isDisposed)).toEqual([true, true, false]);
    expect(made.map(({ dropped }) => dropped.length)).toEqual([16, 16, 8]);
  });

  it('ends an isolate whose heap is a quarter full, or whose call failed', () => {
    const { warm, made } = setup();
    warm.giveBack(KEY, warm.take(KEY), CLEAN);
    const [first] = made;
    if (first !== undefined) first.used = 17 * 2 ** 20;
    warm.giveBack(KEY, warm.take(KEY), CLEAN);
    expect(first?.isDisposed).toBe(true);
    warm.giveBack(KEY, warm.take(KEY), { isClean: false, keepsContext: false });
    expect(made.map(({ isDisposed }) => isDisposed)).toEqual([true, true]);
  });

  it('keeps digests and heaps apart, the three used last, and none that is dropped', () => {
    const { warm, made } = setup();
    const keys = [
      KEY,
      { ...KEY, digest: 'sha256-b' },
      { ...KEY, heapMb: 32 },
      { ...KEY, digest: 'c' },
    ];
    for (const key of keys.slice(0, 3)) warm.giveBack(key, warm.take(key), CLEAN);
    warm.giveBack(KEY, warm.take(KEY), CLEAN);
    expect(made).toHaveLength(3);
    for (const key of keys.slice(3)) warm.giveBack(key, warm.take(key), CLEAN);
    expect(made.map(({ isDisposed }) => isDisposed)).toEqual([false, true, false, false]);
    warm.drop(KEY.digest);
    expect(made.map(({ isDisposed }) => isDisposed)).toEqual([true, true, true, false]);
  });

  it('goes without an isolate that has no room for the next realm', () => {
    const { warm, made, prepared } = setup();
    warm.giveBack(KEY, warm.take(KEY), CLEAN);
    const [first] = made;
    if (first !== undefined) first.hasRoom = false;
    warm.prepare(KEY);
    expect(first?.isDisposed).toBe(true);
    expect(prepared).toEqual([64]);
    warm.take(KEY);
    expect(made).toHaveLength(2);
  });
});
