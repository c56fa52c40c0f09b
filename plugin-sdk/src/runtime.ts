/**
 * What stands between a plugin's bundle and the kernel that runs it inside an isolate. The bundle is
 * one classic script that sets the global `__stepwell_plugin` to `{ default: PluginModule }`; the
 * kernel calls `describe` or `run` and hands back what they return as JSON.
 */
import type { JsonObject, JsonValue, PluginDescription } from './manifest.js';

/** What `definePlugin` returns. */
export interface PluginModule {
  readonly stepwell: 1;
  /** The plugin as data. Pure: no host calls. */
  describe(): PluginDescription;
  /** Runs one action; rejects with an error whose own `stepwell` property is a `PluginFault`, or with anything. */
  run(actionId: string, kernel: KernelContext): Promise<unknown>;
}

/** All that the kernel gives to a call. Everything in it belongs to the guest's own realm. */
export interface KernelContext {
  readonly input: JsonValue;
  /** The fields of the step's credential that aren't secret, by name; null without a credential. */
  readonly credential: Readonly<Record<string, string>> | null;
  readonly idempotencyKey: string;
  /** Aborts when the step is cancelled or its time is over. */
  readonly signal: AbortSignal;
  /** The wall clock as it stood when this turn of the guest began; it doesn't move within a turn. */
  now(): number;
  log(level: 'debug' | 'info' | 'warn' | 'error', message: string): void;
}

/** How a typed error of the SDK tells the kernel what it is. The host checks each field again. */
export interface PluginFault {
  code:
    | 'provider.auth_failed'
    | 'provider.rate_limited'
    | 'provider.unavailable'
    | 'provider.rejected'
    | 'provider.too_large'
    | 'input.invalid'
    | 'plugin.output_invalid';
  retryable: boolean;
  details?: JsonObject;
}
