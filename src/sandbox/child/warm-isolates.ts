import type { IsolateSource } from './isolate-source.js';
import type { GuestRealm, KernelIsolate } from './kernel-isolate.js';

/** What a warm isolate is bound to; the child itself is bound to one tenant. */
export interface WarmKey {
  digest: string;
  heapMb: number;
}

/**
 * Isolates that outlive a call: the next one of the same digest gets a context of its own in there, for
 * a fifth of the CPU time. Contexts of old calls are garbage that lies in the heap until V8 collects
 * it, so an isolate goes after a few calls, or as soon as its heap holds more than a part of the
 * limit: what is left must be enough for the next call. It also goes after a call that failed.
 */
export class WarmIsolates {
  /** Those used least recently first. */
  private readonly kept = new Map<string, WarmIsolate>();

  constructor(private readonly source: Pick<IsolateSource, 'take' | 'prepare'>) {}

  take(key: WarmKey): GuestRealm {
    const name = nameOf(key);
    let warm = this.kept.get(name);
    if (warm === undefined || !this.makeReady(warm)) {
      const { isolate, realm } = this.source.take(key.heapMb);
      warm = { key, isolate, ready: realm, calls: 0 };
      for (const [oldest, { isolate: cold }] of this.kept) {
        if (this.kept.size < MAX_KEPT) break;
        this.kept.delete(oldest);
        cold.dispose();
      }
    }
    // Back to the end of the map: it is the one used last.
    this.kept.delete(name);
    this.kept.set(name, warm);
    warm.calls++;
    const realm = warm.ready ?? warm.isolate.makeRealm();
    warm.ready = null;
    return realm;
  }

  /** Takes the realm of a call that is over. `keepsContext`: for a negative control only. */
  giveBack(
    key: WarmKey,
    realm: GuestRealm,
    end: { isClean: boolean; keepsContext: boolean },
  ): void {
    const warm = this.kept.get(nameOf(key));
    if (warm === undefined) return;
    if (end.keepsContext) warm.ready = realm;
    else {
      warm.isolate.dropRealm(realm);
      if (!end.isClean || isWorn(warm)) this.end(warm);
    }
  }

  /** Uses the time between calls for what the next one of this kind will need. */
  prepare(key: WarmKey): void {
    const warm = this.kept.get(nameOf(key));
    if (warm === undefined || !this.makeReady(warm)) this.source.prepare(key.heapMb);
  }

  drop(digest: string): void {
    for (const warm of [...this.kept.values()]) if (warm.key.digest === digest) this.end(warm);
  }

  /** @returns false when its heap has no room for another context, and it is ended */
  private makeReady(warm: WarmIsolate): boolean {
    try {
      warm.ready ??= warm.isolate.makeRealm();
      return true;
    } catch {
      this.end(warm);
      return false;
    }
  }

  private end(warm: WarmIsolate): void {
    this.kept.delete(nameOf(warm.key));
    warm.isolate.dispose();
  }
}

interface WarmIsolate {
  key: WarmKey;
  isolate: KernelIsolate;
  /** Made ahead; no call has used it. */
  ready: GuestRealm | null;
  calls: number;
}

function isWorn({ isolate, calls, key }: WarmIsolate): boolean {
  if (isolate.isDisposed || calls >= MAX_CALLS) return true;
  return isolate.usedBytes() > (key.heapMb * 2 ** 20) / HEAP_PART;
}

function nameOf({ digest, heapMb }: WarmKey): string {
  return `${digest}/${String(heapMb)}`;
}

/** The gain per call hardly grows beyond; at 0.3 MB a dead context, 16 of them take 5 MB. */
const MAX_CALLS = 16;
/** Of the heap limit, what may be taken before a call begins: a quarter. */
const HEAP_PART = 4;
/** A tenant's plan goes from one plugin to the next and back. */
const MAX_KEPT = 3;
