import { DOMException } from './errors.js';

type Listener = ((event: AbortEvent) => void) | { handleEvent(event: AbortEvent): void };

interface AbortEvent {
  readonly type: 'abort';
  readonly target: AbortSignal;
}

/** Starts a timer; AbortSignal.timeout needs one, and timers belong to the call. */
export type StartTimer = (callback: () => void, ms: number) => number;

let startTimer: StartTimer = () => 0;
let abortSignal: (signal: AbortSignal, reason: unknown) => void;
const CONSTRUCT = Symbol('construct');

/** Gives AbortSignal.timeout its timers; called once, before any guest code. */
export function provideTimers(start: StartTimer): void {
  startTimer = start;
}

/** DOM AbortSignal: told to stop once, for a reason. */
export class AbortSignal {
  onabort: ((event: AbortEvent) => void) | null = null;
  #aborted = false;
  #reason: unknown = undefined;
  #listeners: Listener[] = [];

  constructor(key?: unknown) {
    if (key !== CONSTRUCT) throw new TypeError('Illegal constructor');
  }

  static abort(reason?: unknown): AbortSignal {
    const signal = new AbortSignal(CONSTRUCT);
    abortSignal(signal, reason);
    return signal;
  }

  static timeout(milliseconds: number): AbortSignal {
    const signal = new AbortSignal(CONSTRUCT);
    startTimer(() => {
      abortSignal(signal, new DOMException('The operation timed out', 'TimeoutError'));
    }, milliseconds);
    return signal;
  }

  static any(signals: Iterable<AbortSignal>): AbortSignal {
    const any = new AbortSignal(CONSTRUCT);
    for (const signal of signals) {
      if (signal.aborted) {
        abortSignal(any, signal.reason);
        return any;
      }
      signal.addEventListener('abort', () => {
        abortSignal(any, signal.reason);
      });
    }
    return any;
  }

  get aborted(): boolean {
    return this.#aborted;
  }

  get reason(): unknown {
    return this.#reason;
  }

  throwIfAborted(): void {
    if (this.#aborted) throw this.#reason;
  }

  addEventListener(type: string, listener: Listener | null): void {
    if (type === 'abort' && listener !== null && !this.#listeners.includes(listener)) {
      this.#listeners.push(listener);
    }
  }

  removeEventListener(type: string, listener: Listener | null): void {
    if (type === 'abort') this.#listeners = this.#listeners.filter((known) => known !== listener);
  }

  static {
    abortSignal = (signal, reason) => {
      if (signal.#aborted) return;
      signal.#aborted = true;
      signal.#reason =
        reason === undefined
          ? new DOMException('This operation was aborted', 'AbortError')
          : reason;
      const listeners = signal.#listeners;
      signal.#listeners = [];
      const event: AbortEvent = { type: 'abort', target: signal };
      signal.onabort?.(event);
      for (const listener of listeners) {
        if (typeof listener === 'function') listener(event);
        else listener.handleEvent(event);
      }
    };
  }
}

export class AbortController {
  readonly #signal = newSignal();

  get signal(): AbortSignal {
    return this.#signal;
  }

  abort(reason?: unknown): void {
    abortSignal(this.#signal, reason);
  }
}

/** A signal of our own making that nothing has aborted. */
export function newSignal(): AbortSignal {
  return new AbortSignal(CONSTRUCT);
}
