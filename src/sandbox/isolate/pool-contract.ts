import type { TrustClass } from '../sandbox.js';
import type { RecycleLimits, SandboxLog } from './isolate-options.js';

/** What the pool needs to know of a child. */
export interface PooledChild {
  readonly pid: number;
  readonly exited: Promise<unknown>;
  kill(reason: string): void;
}

/** Whom a child serves, once it serves anyone: nobody else ever gets it. */
export interface ChildOwner {
  tenantId: string;
  trust: TrustClass;
}

export interface ChildPoolOptions<C extends PooledChild> {
  maxChildren: number;
  /** As many as there may be with the reserve for tenants that hold none. */
  maxChildrenWithReserve: number;
  maxChildrenPerTenant: number;
  spares: number;
  recycle: RecycleLimits;
  /**
   * How long a tenant may keep a child to itself while another has none, or one class of trust while
   * another of the same tenant has none, milliseconds. Changing hands costs a process start (60 ms), so
   * it must be worth that. Default 200.
   */
  turnMs?: number;
  /**
   * How long a tenant that holds no child waits for one of `maxChildren` before it gets one beyond
   * them, milliseconds. A burst of short calls is over sooner than a process has started. Default 250.
   */
  patienceMs?: number;
  /** How long it waits when there is no reserve either, milliseconds. Default 10,000. */
  giveUpMs?: number;
  /** How long a child beyond `maxChildren` may stand idle, milliseconds. Default 2,000. */
  surplusIdleMs?: number;
  /** False: a child serves whoever comes. For a negative control only. */
  tenantChildren: boolean;
  start(): Promise<C>;
  /** Resident memory of a child in bytes; null when unknown. Asked now and then. */
  rssBytes(child: C): Promise<number | null> | number | null;
  /** How much memory the machine lacks of what should be free, bytes; asked once a second. */
  missingMemoryBytes(): number;
  /** For tests: how often it is asked, and how long no spare is started afterwards, milliseconds. */
  memoryWatch?: { everyMs: number; calmMs: number };
  log: SandboxLog;
}

/** A child that is taken for one call. */
export interface Lease<C> {
  child: C;
  /** The call has its result; the child is still cleaning up, and will be back in a moment. */
  settle(): void;
  /** Gives it back. A child that can't be trusted with another call is killed. */
  release(isReusable: boolean): void;
}

export interface PoolStats {
  /** Processes alive, those that are starting or ending included. */
  children: number;
  busy: number;
  /** Children that wait for another call of their tenant. */
  idle: number;
  /** Warm children that no tenant has yet. */
  spares: number;
  starting: number;
  queued: number;
  /** Children that ended without being told to. */
  crashes: number;
  /** Children that were ended because they had served enough. */
  recycled: number;
}

/** Why the children of a pool end that is closed. */
export const CLOSING = 'the sandbox is closed';

/** No child can be had: the pool is closed, children don't start, or all are taken and the reserve is, too. */
export class PoolUnavailableError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'PoolUnavailableError';
  }
}
