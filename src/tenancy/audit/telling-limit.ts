import { BoundedCache } from '../../common/bounded-cache.js';
import type { Clock } from '../../common/clock.js';

const INTERVAL_MS = 60_000;
const NAMES_REMEMBERED = 10_000;

/**
 * Keeps what anyone can cause by the thousand from filling a log: of each name so many a minute are
 * told, on this host; the others are counted and told of with the next one.
 */
export class TellingLimit {
  private readonly told = new BoundedCache<{ sinceMs: number; count: number; untold: number }>(
    NAMES_REMEMBERED,
  );

  constructor(
    private readonly perMinute: number,
    private readonly clock: Clock,
  ) {}

  /** Null: not this one. Else how many before it weren't told. */
  take(name: string): { untold: number } | null {
    const nowMs = this.clock.monotonic();
    const last = this.told.get(name);
    if (!last || nowMs - last.sinceMs >= INTERVAL_MS) {
      this.told.set(name, { sinceMs: nowMs, count: 1, untold: 0 });
      return { untold: last?.untold ?? 0 };
    }
    if (last.count >= this.perMinute) {
      last.untold++;
      return null;
    }
    last.count++;
    return { untold: 0 };
  }
}
