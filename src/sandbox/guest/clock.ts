import {
  apply,
  construct,
  defineProperty,
  getOwnPropertyDescriptor,
  NativeDate,
  PrivateNotes,
  toText,
} from './primordials.js';

/** The time of the turn. It moves only when the host begins a new turn, so nothing inside one can be timed. */
export class TurnClock {
  #nowMs = 0;

  get nowMs(): number {
    return this.#nowMs;
  }

  set(nowMs: number): void {
    this.#nowMs = nowMs;
  }
}

/** A Date constructor over the turn's clock, and the formatter that would read the real one. */
export function coarseDate(clock: TurnClock): DateConstructor {
  function CoarseDate(this: unknown, ...args: unknown[]): unknown {
    const target: unknown = new.target;
    if (typeof target !== 'function') return toText(new NativeDate(clock.nowMs));
    return construct(NativeDate, args.length === 0 ? [clock.nowMs] : args, target);
  }
  const statics = {
    name: { value: 'Date', configurable: true },
    length: { value: 7, configurable: true },
    prototype: { value: NativeDate.prototype, writable: false },
    now: { value: () => clock.nowMs, writable: true, configurable: true },
    parse: { value: NativeDate.parse, writable: true, configurable: true },
    UTC: { value: NativeDate.UTC, writable: true, configurable: true },
  };
  Object.defineProperties(CoarseDate, statics);
  // The original must not be reachable through any instance.
  defineProperty(NativeDate.prototype, 'constructor', {
    value: CoarseDate,
    writable: true,
    configurable: true,
  });
  coarsenFormatter(clock);
  return CoarseDate as unknown as DateConstructor;
}

/** `new Intl.DateTimeFormat().format()` without a date reads the real clock, down to milliseconds. */
function coarsenFormatter(clock: TurnClock): void {
  const { prototype } = Intl.DateTimeFormat;
  type Format = (date?: unknown) => unknown;
  const format = getOwnPropertyDescriptor(prototype, 'format') as { get: () => Format };
  const bound = new PrivateNotes<Format>();
  defineProperty(prototype, 'format', {
    configurable: true,
    get(this: object): Format {
      const known = bound.get(this);
      if (known !== undefined) return known;
      const native = apply(format.get, this, []);
      const coarse: Format = (date) => native(date === undefined ? clock.nowMs : date);
      bound.set(this, coarse);
      return coarse;
    },
  });
  const parts = getOwnPropertyDescriptor(prototype, 'formatToParts') as { value: Format };
  defineProperty(prototype, 'formatToParts', {
    configurable: true,
    writable: true,
    value(this: object, date?: unknown): unknown {
      return apply(parts.value, this, [date === undefined ? clock.nowMs : date]);
    },
  });
}
