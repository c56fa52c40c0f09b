import { AbortController, AbortSignal, newSignal, provideTimers } from './abort.js';
import { atob, btoa } from './base64.js';
import type { Bridge } from './bridge.js';
import { coarseDate, type TurnClock } from './clock.js';
import { createConsole } from './console.js';
import { createCrypto, CryptoKey } from './crypto.js';
import { TextDecoder, TextEncoder } from './encoding.js';
import { DOMException } from './errors.js';
import { createFetch } from './fetch.js';
import { FinalizationRegistry } from './finalization.js';
import { Headers } from './headers.js';
import { defineProperty, deleteProperty } from './primordials.js';
import type { CallRandom } from './random.js';
import { Request } from './request.js';
import { Response } from './response.js';
import type { Timers } from './timers.js';
import { URLSearchParams } from './url-search-params.js';
import { URL } from './url.js';

/**
 * Takes away shared memory and compiled code: clocks of any resolution, and memory that no heap limit
 * sees. V8 puts some of it back when it makes a context from a snapshot, so this runs in each.
 */
export function removeUnsafeGlobals(): void {
  for (const name of ['WebAssembly', 'SharedArrayBuffer', 'Atomics', 'Temporal', 'ShadowRealm']) {
    deleteProperty(globalThis, name);
  }
}

/** Adds the web's globals. Runs before any guest code. */
export function installGlobals(parts: {
  bridge: Bridge;
  clock: TurnClock;
  random: CallRandom;
  timers: Timers;
}): void {
  const { bridge, clock, random, timers } = parts;
  provideTimers((callback, ms) => timers.setTimeout(callback, ms));
  const globals: Record<string, unknown> = {
    AbortController,
    AbortSignal,
    CryptoKey,
    DOMException,
    Date: coarseDate(clock),
    FinalizationRegistry,
    Headers,
    Request,
    Response,
    TextDecoder,
    TextEncoder,
    URL,
    URLSearchParams,
    atob,
    btoa,
    clearTimeout: timers.clearTimeout,
    console: createConsole(bridge),
    crypto: createCrypto(random),
    fetch: createFetch(bridge),
    queueMicrotask: timers.queueMicrotask,
    setTimeout: timers.setTimeout,
  };
  for (const name of Object.keys(globals)) {
    defineProperty(globalThis, name, {
      value: globals[name],
      writable: true,
      configurable: true,
      enumerable: false,
    });
  }
}

/** A signal for the call. The host kills the whole isolate when a step is cancelled, so it never fires by itself. */
export const callSignal = newSignal;
