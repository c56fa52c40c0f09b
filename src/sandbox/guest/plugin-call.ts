// Declares the globals that the contract's types mention; this realm gets them from globals.ts.
import type {} from '../../../plugin-sdk/src/globals.js';
import type { KernelContext, PluginModule } from '../../../plugin-sdk/src/runtime.js';
import type { JsonValue } from '../../../plugin-sdk/src/manifest.js';
import type { KernelEvent } from '../protocol/kernel-bridge.js';
import type { Bridge } from './bridge.js';
import type { TurnClock } from './clock.js';
import { cut, describeFailure, messageOf } from './failure.js';
import { callSignal } from './globals.js';
import {
  apply,
  freeze,
  jsonParse,
  jsonStringify,
  reflectGet,
  toText,
  whenSettled,
} from './primordials.js';

type Start = Extract<KernelEvent, { type: 'start' }>;

/** Calls the plugin that the bundle has left behind, and hands its result to the bridge as JSON. */
export function callPlugin(
  start: Start,
  inputJson: string,
  parts: { bridge: Bridge; clock: TurnClock },
): void {
  const { bridge, clock } = parts;
  let plugin: PluginModule;
  try {
    plugin = loadedPlugin();
  } catch (error) {
    bridge.fail({ code: 'plugin.load_failed', message: messageOf(error) });
    return;
  }
  let result: unknown;
  try {
    result =
      start.mode === 'describe'
        ? apply(reflectGet(plugin, 'describe') as () => unknown, plugin, [])
        : apply(reflectGet(plugin, 'run') as (...args: unknown[]) => unknown, plugin, [
            start.action,
            createContext(),
          ]);
  } catch (error) {
    onError(error);
    return;
  }
  whenSettled(result, onValue, onError);

  function createContext(): KernelContext {
    const input = jsonParse(inputJson) as JsonValue;
    return {
      input,
      credential: start.credential === null ? null : freeze(start.credential),
      idempotencyKey: start.idempotencyKey,
      signal: callSignal(),
      now: () => clock.nowMs,
      log(level, message) {
        if (bridge.takesLogs) bridge.log(LEVELS[level] ?? 'info', toText(message));
      },
    };
  }

  function onValue(value: unknown): void {
    let json: unknown;
    try {
      json = value === undefined ? 'null' : jsonStringify(value);
    } catch (error) {
      bridge.fail({
        code: 'plugin.output_invalid',
        message: cut(`the result is not JSON: ${messageOf(error)}`),
      });
      return;
    }
    if (typeof json !== 'string') {
      bridge.fail({
        code: 'plugin.output_invalid',
        message: `the result is not JSON: a ${typeof value}`,
      });
    } else if (json.length > bridge.outputBytes) {
      bridge.fail({
        code: 'plugin.output_too_large',
        message: `the result is over ${toText(bridge.outputBytes)} bytes`,
      });
    } else bridge.succeed(json);
  }

  function onError(error: unknown): void {
    const failure = describeFailure(error, bridge);
    const isUnknown =
      failure.code === 'plugin.threw' && start.mode === 'run' && !hasAction(plugin, start.action);
    bridge.fail(
      isUnknown
        ? { code: 'plugin.load_failed', message: 'the bundle has no such action' }
        : failure,
    );
  }
}

/** What the bundle left in `__stepwell_plugin.default`. */
function loadedPlugin(): PluginModule {
  const exported: unknown = reflectGet(globalThis, '__stepwell_plugin');
  if (typeof exported !== 'object' || exported === null)
    throw new TypeError('the bundle defines no plugin');
  const plugin: unknown = reflectGet(exported, 'default');
  if (typeof plugin !== 'object' || plugin === null)
    throw new TypeError('the bundle has no default export');
  if (reflectGet(plugin, 'stepwell') !== 1)
    throw new TypeError('the default export is not a plugin of SDK 1');
  return plugin as PluginModule;
}

/** Asked only after a failure: whether the plugin itself says that it has the action. */
function hasAction(plugin: PluginModule, actionId: string): boolean {
  try {
    return plugin.describe().actions.some((action) => action.id === actionId);
  } catch {
    // It can't describe itself: then its own error says more than ours would.
    return true;
  }
}

const LEVELS: Record<string, 'debug' | 'info' | 'warn' | 'error'> = {
  __proto__: null as never,
  debug: 'debug',
  info: 'info',
  warn: 'warn',
  error: 'error',
};
