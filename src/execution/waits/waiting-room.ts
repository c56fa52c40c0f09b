import type { Clock } from '../../common/clock.js';
import { isFinished } from '../execution-status.js';
import { attemptKey, type WaitState } from '../run-store.js';

/** A run that rests longer than this gives up its place in memory. */
const HOLD_MS = 10_000;
/** Between two looks at a wait whose time seems to have come, by clocks that differ a little. */
const MIN_LOOK_MS = 20;

export interface WaitingPlace {
  stepId: string;
  iteration: number;
  attempt: number;
  /**
   * For this long the run is kept, though nothing of it is due: what it waits for is expected soon.
   */
  expectedWithinMs: number;
}

export interface WaitingRoomOptions {
  clock: Clock;
  /** How the waits of these places stand, after those whose time has come have ended. */
  settle: (places: readonly WaitingPlace[]) => Promise<WaitState[]>;
  /** Whoever still waits then is sent away. */
  stopped: AbortSignal;
  /** Everything of the run rests for long: it may be let go of. */
  onQuiet: (quiet: { retryInMs: number | null }) => void;
}

/**
 * Where the strands of one walk rest: places that wait for something outside, or for their next
 * attempt. It knows whether anything else runs, and says when nothing will for a while.
 */
export class WaitingRoom {
  /** Lines of the walk that go on side by side: steps, and workers of a `for_each`. */
  private strands = 0;
  private readonly waiting = new Map<string, Waiter>();
  /** When those that wait for their next attempt go on, by the monotonic clock. */
  private readonly sleeping = new Set<{ until: number; isKept: boolean }>();
  private isWatching = false;
  private isAllAbandoned = false;
  private readonly abandonedSteps = new Set<string>();
  private nudge = Promise.withResolvers<undefined>();

  constructor(private readonly options: WaitingRoomOptions) {
    options.stopped.addEventListener('abort', this.sendAllAway, { once: true });
  }

  /** Whether nothing of the walk runs. */
  get isResting(): boolean {
    return this.strands > 0 && this.waiting.size + this.sleeping.size === this.strands;
  }

  enter(): void {
    this.strands++;
  }

  leave(): void {
    this.strands--;
    this.considerQuiet();
  }

  /**
   * Until the next attempt is due, or the walk stops.
   * @param isKept whether that attempt needs what only this walk remembers
   */
  async sleep(ms: number, isKept: boolean): Promise<void> {
    const { clock, stopped } = this.options;
    const sleeper = { until: clock.monotonic() + ms, isKept };
    this.sleeping.add(sleeper);
    this.considerQuiet();
    await clock.sleep(ms, stopped);
    this.sleeping.delete(sleeper);
  }

  /**
   * How the wait ended: resolved, elapsed, cancelled, or abandoned by its own run; null when the walk
   * stops before.
   */
  async wait(place: WaitingPlace): Promise<WaitState | 'abandoned' | null> {
    const { clock, stopped } = this.options;
    if (stopped.aborted) return null;
    if (this.isAllAbandoned || this.abandonedSteps.has(place.stepId)) return 'abandoned';
    return await new Promise((resolve, reject) => {
      const expectedUntil = clock.monotonic() + place.expectedWithinMs;
      const waiter = { place, resolve, reject, expectedUntil, isKnown: false, dueAt: null };
      this.waiting.set(attemptKey(place), waiter);
      this.wake();
      void this.watch();
    });
  }

  /** Something may have happened that a place waits for. */
  wake(): void {
    this.nudge.resolve(undefined);
  }

  /**
   * Sends away what waits for something outside, and whoever comes yet: the step, or all of the run,
   * comes to its end.
   */
  abandon(stepId: string | null): void {
    if (stepId === null) this.isAllAbandoned = true;
    else this.abandonedSteps.add(stepId);
    for (const [key, waiter] of this.waiting) {
      if (stepId === null || waiter.place.stepId === stepId) this.dismiss(key, 'abandoned');
    }
  }

  private async watch(): Promise<void> {
    if (this.isWatching) return;
    this.isWatching = true;
    const { clock, stopped, settle } = this.options;
    try {
      while (this.waiting.size > 0) {
        this.nudge = Promise.withResolvers();
        const asked = new Map(this.waiting);
        const places = [...asked.values()].map(({ place }) => place);
        this.apply(await settle(places), asked);
        this.considerQuiet();
        if (stopped.aborted || this.waiting.size === 0) break;
        const timer = new AbortController();
        const nextLook = clock.sleep(this.nextLookMs(), AbortSignal.any([timer.signal, stopped]));
        await Promise.race([nextLook, this.nudge.promise]);
        timer.abort();
      }
    } catch (error) {
      for (const [key, waiter] of this.waiting) {
        this.waiting.delete(key);
        waiter.reject(error);
      }
    } finally {
      this.isWatching = false;
    }
    // Who came in between the last look and here.
    if (this.waiting.size > 0 && !stopped.aborted) void this.watch();
  }

  private apply(states: readonly WaitState[], asked: ReadonlyMap<string, Waiter>): void {
    const now = this.options.clock.monotonic();
    const byPlace = new Map(states.map((state) => [attemptKey(state), state]));
    for (const [key, waiter] of asked) {
      if (this.waiting.get(key) !== waiter) continue;
      const state = byPlace.get(key);
      if (state?.attempt === waiter.place.attempt && hasEnded(state)) this.dismiss(key, state);
      else {
        waiter.isKnown = true;
        const dueInMs = state?.dueInMs ?? null;
        waiter.dueAt = dueInMs === null ? null : now + dueInMs;
      }
    }
  }

  private considerQuiet(): void {
    const { clock, stopped, onQuiet } = this.options;
    if (stopped.aborted || !this.isResting) return;
    const sleepers = [...this.sleeping];
    if (sleepers.some(({ isKept }) => isKept)) return;
    const now = clock.monotonic();
    const waiters = [...this.waiting.values()];
    // Who has just come may find that it need not wait at all.
    if (waiters.some(({ isKnown, expectedUntil }) => !isKnown || expectedUntil > now)) return;
    const retryAt = Math.min(...sleepers.map(({ until }) => until));
    const dueAt = Math.min(retryAt, ...waiters.map((waiter) => waiter.dueAt ?? Infinity));
    if (dueAt - now <= HOLD_MS) return;
    onQuiet({ retryInMs: retryAt === Infinity ? null : Math.ceil(retryAt - now) });
  }

  /** When something may be due, or the run may be let go of. */
  private nextLookMs(): number {
    const now = this.options.clock.monotonic();
    const times = [...this.waiting.values()].flatMap(({ dueAt, expectedUntil }) => [
      dueAt ?? Infinity,
      expectedUntil > now ? expectedUntil : Infinity,
    ]);
    return Math.min(HOLD_MS, Math.max(MIN_LOOK_MS, Math.min(...times) - now));
  }

  private dismiss(key: string, end: WaitState | 'abandoned' | null): void {
    const waiter = this.waiting.get(key);
    this.waiting.delete(key);
    waiter?.resolve(end);
  }

  private readonly sendAllAway = (): void => {
    for (const key of [...this.waiting.keys()]) this.dismiss(key, null);
    this.wake();
  };
}

interface Waiter {
  place: WaitingPlace;
  resolve: (end: WaitState | 'abandoned' | null) => void;
  reject: (error: unknown) => void;
  expectedUntil: number;
  /** Whether the database was asked since it came. */
  isKnown: boolean;
  /** By the monotonic clock; null: nothing is due by itself. */
  dueAt: number | null;
}

/** An execution that had ended before somebody waited for it tells nobody any more. */
function hasEnded({ status, child }: WaitState): boolean {
  return status !== 'open' || (child !== null && isFinished(child.status));
}
