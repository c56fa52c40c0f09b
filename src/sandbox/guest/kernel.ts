/**
 * The kernel: the code of ours that runs inside each isolate, before and around the plugin. It is
 * evaluated once per child, into a V8 snapshot of our code alone; each isolate starts from that and
 * is attached to its child. It is in the guest's realm, so it trusts nothing there but what it
 * captured before the guest came.
 */
import type { KernelAttach, KernelEvent } from '../protocol/kernel-bridge.js';
import { Bridge } from './bridge.js';
import { TurnClock } from './clock.js';
import { describeFailure } from './failure.js';
import { installGlobals, removeUnsafeGlobals } from './globals.js';
import { callPlugin } from './plugin-call.js';
import { defineProperty, deleteProperty, jsonParse } from './primordials.js';
import { CallRandom } from './random.js';
import { createTimers } from './timers.js';

const bridge = new Bridge();
const clock = new TurnClock();
const random = new CallRandom();

installGlobals({ bridge, clock, random, timers: createTimers(bridge, onThrow) });

/** Joins a fresh realm to its child. `send` stays in here; what is returned is for the child alone. */
const attach: KernelAttach = (send) => {
  deleteProperty(globalThis, '__stepwell_attach');
  removeUnsafeGlobals();
  bridge.attach(send);
  return deliver;
};

defineProperty(globalThis, '__stepwell_attach', { value: attach, configurable: true });

function deliver(head: string, body: string): void {
  const event = jsonParse(head) as KernelEvent;
  clock.set(event.now);
  try {
    switch (event.type) {
      case 'begin':
        random.seed(event.seed);
        bridge.open(event.limits, event.withoutCaps === true);
        break;
      case 'start':
        callPlugin(event, body, { bridge, clock });
        break;
      case 'timer':
        bridge.fire(event.id);
        break;
      case 'answer':
        bridge.answer(event.id, event.ok ? { ...event, body } : event);
        break;
    }
  } catch (error) {
    onThrow(error);
  }
}

function onThrow(error: unknown): void {
  bridge.fail(describeFailure(error, bridge));
}
