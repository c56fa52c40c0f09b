import { BoundedCache } from './bounded-cache.js';
import type { Clock } from './clock.js';
import { DatabaseAwayError, isPassing } from './connection-lost.js';

/** What was changed elsewhere just before an outage stays unknown for no longer than this. */
const MAX_AGE_MS = 10 * 60_000;

/**
 * What was read of something last, for the time in which the database is away. While it is there, every
 * read asks it, also when it is too busy to answer. Nothing older than ten minutes is told.
 */
export class LastKnown<T> {
  private readonly cache: BoundedCache<{ value: T; readAt: number }>;

  constructor(private readonly options: { isOn: boolean; maxEntries: number; clock: Clock }) {
    this.cache = new BoundedCache(options.maxEntries);
  }

  /**
   * @param at.mayRecall whether what was read before may be told at all
   * @param load what it finds counts; null is not remembered, so that strangers push nobody out
   * @throws what `load` throws, unless the database is away and something is known
   */
  async read(
    at: { key: string; mayRecall: boolean },
    load: () => Promise<T | null>,
  ): Promise<{ value: T | null; isRecalled: boolean }> {
    const { isOn, clock } = this.options;
    if (!isOn) return { value: await load(), isRecalled: false };
    const readAt = clock.monotonic();
    try {
      const value = await load();
      if (value === null) this.cache.delete(at.key);
      else this.cache.set(at.key, { value, readAt });
      return { value, isRecalled: false };
    } catch (error) {
      if (!isPassing(error)) this.cache.delete(at.key);
      if (!(error instanceof DatabaseAwayError)) throw error;
      const known = at.mayRecall ? this.cache.get(at.key) : undefined;
      if (!known || clock.monotonic() - known.readAt > MAX_AGE_MS) throw error;
      return { value: known.value, isRecalled: true };
    }
  }
}
