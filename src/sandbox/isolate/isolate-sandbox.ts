import { availableParallelism } from 'node:os';

import type { JsonValue } from '../../common/json.js';
import {
  stepFailed,
  stepSucceeded,
  type ProviderResult,
  type StepError,
} from '../../common/provider-result.js';
import { locateSandboxAssets } from '../assets.js';
import {
  MAX_BODY_BYTES,
  MAX_BUNDLE_BYTES,
  MAX_CREDENTIAL_BYTES,
} from '../protocol/frame-limits.js';
import {
  HostCallError,
  type CallLimits,
  type HostCalls,
  type PluginRef,
  type Sandbox,
  type StepCall,
  type TrustClass,
} from '../sandbox.js';
import { abortOutcome, CallSession, type SessionCall } from './call-session.js';
import { childCommand, launchPlain } from './child-launcher.js';
import { CallPace, type Beginning } from './call-pace.js';
import { ChildPool } from './child-pool.js';
import {
  PoolUnavailableError,
  type ChildOwner,
  type Lease,
  type PoolStats,
} from './pool-contract.js';
import { findIsolatedVmAddon } from './isolated-vm-addon.js';
import {
  ALL_DEFENCES,
  DEFAULT_RECYCLE,
  type IsolateDefences,
  type IsolateSandboxOptions,
  type SandboxLog,
} from './isolate-options.js';
import { failed, type CallOutcome } from './outcome.js';
import { missingMemory, readMachineMemory } from './machine-memory.js';
import { RESERVE_FACTOR } from './pool-size.js';
import { usageReader, type UsageReader } from './process-usage.js';
import { SandboxChild } from './sandbox-child.js';
import { Watchdog } from './watchdog.js';

export interface DescribeCall {
  tenantId: string;
  plugin: Pick<PluginRef, 'id' | 'version' | 'digest'>;
  loadBundle(): Promise<string>;
  limits: CallLimits;
}

export interface SandboxStats extends PoolStats {
  /** Calls that have been given to a child so far. */
  calls: number;
}

/**
 * The isolate tier: each call of third-party code runs in a fresh V8 isolate, any other in a fresh
 * context at least, inside a process that has no rights and belongs to one tenant and one class of
 * trust, watched and if need be killed from here.
 */
export class IsolateSandbox implements Sandbox {
  private readonly pool: ChildPool<SandboxChild>;
  private readonly pace: CallPace;
  private readonly reader: UsageReader = usageReader();
  private readonly watchdog = new Watchdog(this.reader);
  private readonly defences: IsolateDefences;
  private readonly log: SandboxLog;
  private calls = 0;

  /** @throws Error when the assets have not been built, or isolated-vm is too old to hold a plugin. */
  constructor(options: IsolateSandboxOptions) {
    this.defences = { ...ALL_DEFENCES, ...options.defences };
    this.log = options.log ?? (() => undefined);
    const { maxChildren } = options;
    this.pace = new CallPace(options.callsAtOnce ?? availableParallelism() + 1);
    const { childPath, kernelPath } = options.assets ?? locateSandboxAssets();
    const { permissions, tenantChildren } = this.defences;
    const command = childCommand({
      childPath,
      kernelPath,
      addonPath: findIsolatedVmAddon(),
      permissions,
    });
    const launch = options.launcher ?? launchPlain;
    this.pool = new ChildPool({
      maxChildren,
      maxChildrenWithReserve: options.maxChildrenWithReserve ?? maxChildren * RESERVE_FACTOR,
      maxChildrenPerTenant:
        options.maxChildrenPerTenant ??
        (maxChildren <= 2 ? maxChildren : Math.floor(maxChildren * 0.75)),
      spares: options.spares ?? 1,
      recycle: { ...DEFAULT_RECYCLE, ...options.recycle },
      tenantChildren,
      missingMemoryBytes: options.missingMemoryBytes ?? (() => missingMemory(readMachineMemory())),
      log: this.log,
      start: () => SandboxChild.start(launch(command)),
      rssBytes: async ({ pid }) => (await this.reader.read(pid))?.rssBytes ?? null,
    });
  }

  async run(call: StepCall, host: HostCalls, signal: AbortSignal): Promise<ProviderResult> {
    const { plugin, action, input, credential, idempotencyKey, limits } = call;
    const trust = plugin.trust ?? 'third_party';
    const outcome = await this.execute(
      {
        mode: 'run',
        fresh: trust === 'third_party' ? 'isolate' : 'context',
        digest: plugin.digest,
        action: action.id,
        input: JSON.stringify(input),
        credential,
        idempotencyKey,
        limits,
      },
      { tenantId: call.tenantId, trust, loadBundle: () => call.loadBundle(), host, signal },
    );
    if (outcome.ok) return stepSucceeded(outcome.value);
    const { code, message, retryable, details } = outcome.error;
    return stepFailed(
      code,
      message,
      details === undefined ? { retryable } : { retryable, details },
    );
  }

  /**
   * What a bundle says of itself: the JSON that its `describe()` returns, unchecked beyond being safe
   * JSON. Host calls are refused.
   */
  async describe(
    call: DescribeCall,
    signal: AbortSignal,
  ): Promise<{ ok: true; description: JsonValue } | { ok: false; error: StepError }> {
    const limits = { ...call.limits, hostCalls: 0 };
    const outcome = await this.execute(
      {
        mode: 'describe',
        fresh: 'isolate',
        digest: call.plugin.digest,
        action: '',
        input: 'null',
        credential: null,
        idempotencyKey: '',
        limits,
      },
      {
        tenantId: call.tenantId,
        trust: 'third_party',
        loadBundle: () => call.loadBundle(),
        host: NO_HOST,
        signal,
      },
    );
    return outcome.ok ? { ok: true, description: outcome.value } : outcome;
  }

  /** Starts the spare children now instead of with the first call. */
  warm(): void {
    this.pool.warm();
  }

  stats(): SandboxStats {
    return { ...this.pool.stats(), calls: this.calls };
  }

  /** Refuses whoever waits, kills every child, and settles when they are gone. */
  close(): Promise<void> {
    return this.pool.close();
  }

  private async execute(call: SessionCall, around: Around): Promise<CallOutcome> {
    const { signal, tenantId } = around;
    const trust = this.defences.trustChildren ? around.trust : 'third_party';
    if (Buffer.byteLength(call.input) > MAX_BODY_BYTES) {
      return failed('input.invalid', `the input is over ${String(MAX_BODY_BYTES)} bytes`);
    }
    if (Buffer.byteLength(JSON.stringify(call.credential)) > MAX_CREDENTIAL_BYTES) {
      const most = String(MAX_CREDENTIAL_BYTES);
      return failed('input.invalid', `the fields of the credential are over ${most} bytes`);
    }
    let beginning: Beginning;
    try {
      beginning = await this.pace.enter({ tenantId, trust }, signal);
    } catch {
      return abortOutcome(signal);
    }
    try {
      return await this.executeInTurn({ tenantId, trust }, call, { ...around, beginning });
    } finally {
      beginning.leave();
    }
  }

  private async executeInTurn(
    owner: ChildOwner,
    call: SessionCall,
    around: AroundCall,
  ): Promise<CallOutcome> {
    const { signal } = around;
    let lease: Lease<SandboxChild>;
    try {
      lease = await this.pool.acquire(owner, signal);
    } catch (error) {
      if (error instanceof PoolUnavailableError)
        return failed('sandbox.unavailable', error.message);
      return abortOutcome(signal);
    }
    try {
      return await this.executeOn(lease, call, around);
    } catch (error) {
      // A fault of ours: the child goes, and how far the call had come isn't known.
      this.log('error', 'sandbox.call_failed', { error });
      lease.release(false);
      return failed('engine.failed', 'the sandbox failed; the log of the host says why');
    }
  }

  private async executeOn(
    lease: Lease<SandboxChild>,
    call: SessionCall,
    around: AroundCall,
  ): Promise<CallOutcome> {
    const { child } = lease;
    const { signal, beginning } = around;
    const { defences, log, watchdog } = this;
    // Also where its bundle has to be read first, which may take long.
    beginning.start();
    const refusal = await this.handBundle(child, call.digest, around);
    if (refusal !== null) {
      lease.release(true);
      return refusal;
    }
    this.calls++;
    const host: HostCalls = {
      http: (request, abort) => {
        beginning.leave();
        return around.host.http(request, abort);
      },
      log: (line) => {
        around.host.log(line);
      },
    };
    const session = new CallSession({ child, call, host, signal, defences, log, watchdog });
    const { outcome, reusable } = await session.run();
    lease.settle();
    void reusable.then((isReusable) => {
      // Who was only looked at hasn't come to stay: its child would stand idle.
      lease.release(isReusable && call.mode === 'run');
    });
    return outcome;
  }

  /** Gives the child the bundle unless it has it. @returns why that can't be. */
  private async handBundle(
    child: SandboxChild,
    digest: string,
    around: Around,
  ): Promise<CallOutcome | null> {
    if (around.signal.aborted) return abortOutcome(around.signal);
    if (child.bundles.use(digest)) return null;
    let bundle: Buffer;
    try {
      bundle = Buffer.from(await unlessAborted(around.loadBundle(), around.signal));
    } catch (error) {
      if (error === around.signal.reason) return abortOutcome(around.signal);
      this.log('error', 'sandbox.bundle_unavailable', { digest, error });
      return failed('plugin.unavailable', 'the code of the plugin can not be read');
    }
    if (bundle.byteLength > MAX_BUNDLE_BYTES) {
      return failed('plugin.load_failed', `the bundle is over ${String(MAX_BUNDLE_BYTES)} bytes`);
    }
    for (const dropped of child.bundles.add(digest, bundle.byteLength))
      child.send({ type: 'drop', digest: dropped });
    child.send({ type: 'bundle', digest }, bundle);
    return null;
  }
}

interface Around {
  tenantId: string;
  trust: TrustClass;
  host: HostCalls;
  signal: AbortSignal;
  loadBundle(): Promise<string>;
}

interface AroundCall extends Around {
  beginning: Beginning;
}

const NO_HOST: HostCalls = {
  http: () => Promise.reject(new HostCallError('egress.denied', 'no host calls here')),
  log: () => undefined,
};

/** A child must not stay taken while a store hangs. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => {
      signal.removeEventListener('abort', onAbort);
    });
  });
}
