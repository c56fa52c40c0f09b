import { defineProperty, NativeTypeError } from './primordials.js';

/**
 * A registry that never calls back, as ECMAScript allows any implementation to do. V8 calls back
 * whenever it has collected garbage, which may be after the call that registered is over: in an
 * isolate that serves another call by then, code of a dead context would run on its time.
 */
export class FinalizationRegistry {
  constructor(cleanUp: unknown) {
    if (typeof cleanUp !== 'function') throw new NativeTypeError('cleanup must be callable');
  }

  register(): void {
    // Nothing is ever called back.
  }

  unregister(): boolean {
    return false;
  }
}

void defineProperty(FinalizationRegistry.prototype, Symbol.toStringTag, {
  value: 'FinalizationRegistry',
  configurable: true,
});
