import type { Clock } from '../common/clock.js';
import { isPassing } from '../common/connection-lost.js';

const PAUSE_MS = 250;

/**
 * Does work that needs the database, again and again for as long as that is away or can't do it (its disk is full, it
 * took too long) and `signal` lets it.
 * @throws what the work throws for any other reason, or when the signal has aborted
 */
export async function withPatience<T>(
  work: () => Promise<T>,
  patience: {
    clock: Clock;
    signal: AbortSignal;
    /** Hears of each failure, counted from 1. */
    onFailure?: (error: unknown, failures: number) => void;
  },
): Promise<T> {
  for (let failures = 1; ; failures++) {
    try {
      return await work();
    } catch (error) {
      if (!isPassing(error) || patience.signal.aborted) throw error;
      patience.onFailure?.(error, failures);
      await patience.clock.sleep(PAUSE_MS, patience.signal);
    }
  }
}
