import type { SandboxAssets } from '../assets.js';
import type { ChildLauncher } from './child-launcher.js';

/** Where the sandbox reports what an operator should hear of; nothing of it reaches a tenant. */
export type SandboxLog = (
  level: 'debug' | 'info' | 'warn' | 'error',
  event: string,
  fields: Record<string, unknown>,
) => void;

export interface IsolateSandboxOptions {
  /** Children alive at once, spares included. A child takes about 50 MB and serves one call at a time. */
  maxChildren: number;
  /**
   * Children alive at once when all are taken by calls that last, such as calls that wait for an
   * answer or a timer: each tenant that holds none gets one beyond `maxChildren`, up to here. They cost
   * no CPU time, but memory: plan for this number of children, at 50 MB and the memory limit of a call
   * each, not for `maxChildren`. Past it calls are refused as `sandbox.unavailable`. Default: three
   * times `maxChildren`; `maxChildren` itself turns the reserve off.
   */
  maxChildrenWithReserve?: number;
  /**
   * Children that one tenant may hold at once; fewer while another tenant waits that holds fewer.
   * Default: three quarters of `maxChildren`, or all of one or two.
   */
  maxChildrenPerTenant?: number;
  /**
   * Calls of one tenant that begin at once; see CallPace. Those that wait for an answer, or have run for a
   * while, don't count. Default: one more than there are cores.
   */
  callsAtOnce?: number;
  /** Children kept warm for tenants that have none yet. Default 1. */
  spares?: number;
  /**
   * How much memory the machine lacks of what should be free, bytes; then children that stand idle are
   * ended. Default: looks at the machine and its cgroups.
   */
  missingMemoryBytes?: () => number;
  /** When a child has served enough. */
  recycle?: Partial<RecycleLimits>;
  log?: SandboxLog;
  /** Default: the files of the project's own build. */
  assets?: SandboxAssets;
  /** Starts a child's process; the place for cgroups, namespaces and seccomp. */
  launcher?: ChildLauncher;
  /** For tests only: defences to switch off, so that a case can show that it bites without them. */
  defences?: Partial<IsolateDefences>;
}

export interface RecycleLimits {
  /** Calls of third-party code served. Default 500. */
  calls: number;
  /** Calls of other code: a process start costs as much CPU time as a hundred of them. Default 5,000. */
  trustedCalls: number;
  /** Age in milliseconds. Default 10 minutes. */
  ageMs: number;
  /** Growth of resident memory since the child began, MiB. Default 128. */
  rssGrowthMb: number;
}

export const DEFAULT_RECYCLE: RecycleLimits = {
  calls: 500,
  trustedCalls: 5_000,
  ageMs: 600_000,
  rssGrowthMb: 128,
};

/**
 * Every defence that a negative control can switch off. All are on unless a test says otherwise;
 * no setting of the host reaches this.
 */
export interface IsolateDefences {
  /** The child meters its own CPU time. Without it the watchdog alone ends a loop. */
  cpuMeter: boolean;
  /** Kernel and child count and cap what leaves the isolate. */
  kernelCaps: boolean;
  /** Each call gets an isolate of its own. Without it a child keeps one for all of its calls. */
  freshIsolate: boolean;
  /** Where code is trusted with a warm isolate, each call gets a context of its own there. */
  freshContext: boolean;
  /** The broker counts host calls itself. */
  hostCallCaps: boolean;
  /** The broker watches CPU and memory of the process from outside. */
  watchdog: boolean;
  /** The broker ends a call at its wall time. */
  wallClock: boolean;
  /** Results are parsed with limits, and keys that reach into prototypes are refused. */
  safeJson: boolean;
  /** A child serves one tenant only. */
  tenantChildren: boolean;
  /** A child serves one class of trust only. */
  trustChildren: boolean;
  /** A child that goes on sending after its call is over is killed. */
  silenceAfterDone: boolean;
  /** The child runs under Node's permission model. */
  permissions: boolean;
}

export const ALL_DEFENCES: IsolateDefences = {
  cpuMeter: true,
  kernelCaps: true,
  freshIsolate: true,
  freshContext: true,
  hostCallCaps: true,
  watchdog: true,
  wallClock: true,
  safeJson: true,
  tenantChildren: true,
  trustChildren: true,
  silenceAfterDone: true,
  permissions: true,
};
