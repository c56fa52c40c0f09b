import type { Bridge } from './bridge.js';
import { apply, whenSettled } from './primordials.js';

export interface Timers {
  setTimeout: (callback: unknown, ms?: unknown, ...args: unknown[]) => number;
  clearTimeout: (id: unknown) => void;
  queueMicrotask: (callback: unknown) => void;
}

/**
 * Timers of the call. The child keeps the clock; each timer counts against a cap, and what a
 * callback throws fails the call, since nobody else could hear of it.
 */
export function createTimers(bridge: Bridge, onThrow: (error: unknown) => void): Timers {
  const guarded = (callback: unknown, args: unknown[]): (() => void) => {
    if (typeof callback !== 'function') throw new TypeError('the callback must be a function');
    return () => {
      try {
        apply(callback, undefined, args);
      } catch (error) {
        onThrow(error);
      }
    };
  };
  return {
    setTimeout(callback, ms, ...args) {
      const delay = Number(ms);
      return bridge.timer(
        guarded(callback, args),
        delay > 0 && delay < MAX_DELAY_MS ? Math.trunc(delay) : 0,
      );
    },
    clearTimeout(id) {
      if (typeof id === 'number') bridge.clearTimer(id);
    },
    queueMicrotask(callback) {
      whenSettled(undefined, guarded(callback, []), onThrow);
    },
  };
}

const MAX_DELAY_MS = 2 ** 31;
