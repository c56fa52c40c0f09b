/**
 * The one interface behind which plugins run. Three tiers implement it (declarative, isolate,
 * worker); a caller can't tell which one ran. It knows neither Nest nor the database: secrets,
 * grants and host calls come as arguments, so that the SDK's test kit carries the same code.
 */
import type { ActionManifest, Tier } from '@stepwell/plugin-sdk';

import type { JsonObject, JsonValue } from '../common/json.js';
import type { ProviderResult } from '../common/provider-result.js';

export interface Sandbox {
  /**
   * Runs one action. Never throws for what a plugin does: each failure is a ProviderResult.
   * When `signal` aborts, whatever runs is killed and the result is `step.cancelled`, or
   * `step.timed_out` when the reason is a DOMException named TimeoutError.
   */
  run(call: StepCall, host: HostCalls, signal: AbortSignal): Promise<ProviderResult>;
}

export interface StepCall {
  /** Unique to this attempt. */
  id: string;
  /** With the plugin's `trust`, owner of the child that the call runs in: no two tenants share one. */
  tenantId: string;
  plugin: PluginRef;
  action: ActionManifest;
  /** Text of the bundle; asked for only when code has to run and the child doesn't hold it. */
  loadBundle(): Promise<string>;
  /** Already valid against the action's input schema. */
  input: JsonValue;
  /** The fields of the step's credential that aren't secret; null without one. No secret comes this far. */
  credential: Readonly<Record<string, string>> | null;
  /** The same for every attempt of one step: `execution:step:iteration`. */
  idempotencyKey: string;
  limits: CallLimits;
}

export interface PluginRef {
  id: string;
  version: string;
  /** `sha256-<hex>` of the bundle. */
  digest: string;
  tier: Tier;
  /** Default: `third_party`, which is trusted least. */
  trust?: TrustClass;
}

/**
 * Whose code runs. Code of two classes never meets in one child; `own_code` and `operator` may get a
 * fresh context in an isolate that has run the same digest for the same tenant before, `third_party`
 * gets a fresh isolate for every call.
 */
export type TrustClass =
  /** A plugin of outsiders. */
  | 'third_party'
  /** What the tenant wrote itself, in a step of its own plan. */
  | 'own_code'
  /** A bundle that comes with the host. */
  | 'operator';

/** All that a plugin can ask of the host. Each answer or refusal crosses the wall as data. */
export interface HostCalls {
  /** Sends a request through egress. Rejects with HostCallError only. */
  http(request: OutboundRequest, signal: AbortSignal): Promise<OutboundResponse>;
  log(line: LogLine): void;
}

export interface OutboundRequest {
  method: string;
  url: string;
  headers: [name: string, value: string][];
  body: Uint8Array | null;
  redirect: 'follow' | 'manual' | 'error';
  timeoutMs?: number;
}

export interface OutboundResponse {
  status: number;
  statusText: string;
  /** The URL that answered, after redirects. */
  url: string;
  redirected: boolean;
  headers: [name: string, value: string][];
  /** Decompressed. */
  body: Uint8Array;
}

export interface LogLine {
  level: 'debug' | 'info' | 'warn' | 'error';
  message: string;
}

/** A refusal of a host call. Only code and message (and details) are shown to the guest. */
export class HostCallError extends Error {
  constructor(
    readonly code: HostCallErrorCode,
    message: string,
    readonly details?: JsonObject,
  ) {
    super(message);
    this.name = 'HostCallError';
  }
}

export type HostCallErrorCode =
  | 'egress.denied'
  | 'egress.invalid_request'
  | 'egress.failed'
  | 'egress.timed_out'
  | 'egress.response_too_large';

/** What one call may use. Times in milliseconds, sizes in bytes unless named otherwise. */
export interface CallLimits {
  cpuMs: number;
  wallMs: number;
  heapMb: number;
  /** Resident memory of the child, MiB. */
  rssMb: number;
  outputBytes: number;
  responseBytes: number;
  hostCalls: number;
  hostCallsInFlight: number;
  logLines: number;
  logLineBytes: number;
}

export const DEFAULT_LIMITS: CallLimits = {
  cpuMs: 500,
  wallMs: 30_000,
  heapMb: 64,
  rssMb: 400,
  outputBytes: 1024 * 1024,
  responseBytes: 5 * 1024 * 1024,
  hostCalls: 200,
  hostCallsInFlight: 8,
  logLines: 200,
  logLineBytes: 2048,
};

/** A manifest may ask for this much wall time (models are slow); only policy may raise it. */
export const MAX_MANIFEST_WALL_MS = 300_000;
