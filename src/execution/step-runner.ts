import { Injectable, Logger } from '@nestjs/common';

import { systemClock } from '../common/clock.js';
import { newId } from '../common/ids.js';
import type { JsonObject } from '../common/json.js';
import { stepFailed, type ProviderResult } from '../common/provider-result.js';
import { EgressGateway, type EgressGrant } from '../egress/gateway.js';
import { resolveHostPermissions } from '../egress/hosts.js';
import { PluginCatalogue } from '../plugins/plugin-catalogue.js';
import type { HostCalls, LogLine, StepCall } from '../sandbox/sandbox.js';
import { TieredSandbox } from '../sandbox/tiered-sandbox.js';
import { withPatience } from './database-patience.js';
import { effectiveLimits } from './effective-limits.js';
import type { ReplayedCalls } from './replayed-calls.js';
import type { Lease } from './run-store.js';
import { describeFault, SchemaChecks } from './schema-checks.js';
import type { PreparedStep } from './step-preparer.js';

export interface Attempt {
  lease: Lease;
  tenantName: string;
  attempt: number;
  /** For a step that may not be sent twice. */
  calls: ReplayedCalls | null;
  /** Whether this attempt is answered from what the one before was given. */
  isReplay: boolean;
  signal: AbortSignal;
}

/** Runs one attempt of a prepared step: what it may use, the sandbox, and what came of it. */
@Injectable()
export class StepRunner {
  private readonly logger = new Logger('execution');

  constructor(
    private readonly catalogue: PluginCatalogue,
    private readonly sandbox: TieredSandbox,
    private readonly egress: EgressGateway,
    private readonly schemas: SchemaChecks,
  ) {}

  /** Never throws: what goes wrong is in the result. */
  async run(prepared: PreparedStep, attempt: Attempt): Promise<ProviderResult> {
    const { step, entry, action } = prepared;
    const startedAt = performance.now();
    const logs: LogLine[] = [];
    let result: ProviderResult;
    try {
      result = await this.runOnce(prepared, attempt, logs);
    } catch (error) {
      this.logger.error(
        { err: error, execution_id: attempt.lease.executionId, step_id: step.id },
        'a step could not be run',
      );
      result = stepFailed('engine.failed', 'the host could not run this step; its log says why');
    }
    const metadata: JsonObject = {
      ...result.metadata,
      latency_ms: Math.round(performance.now() - startedAt),
      attempts: attempt.attempt,
      provider: step.provider,
      action: action.id,
      version: entry.manifest.version,
    };
    if (logs.length > 0) metadata['logs'] = logs.map(({ level, message }) => ({ level, message }));
    return { ...result, metadata };
  }

  private async runOnce(
    prepared: PreparedStep,
    attempt: Attempt,
    logs: LogLine[],
  ): Promise<ProviderResult> {
    const { step, entry, action, input } = prepared;
    const { lease } = attempt;
    const actingAs = { tenantId: lease.tenantId, userId: lease.ownerId, role: 'user' as const };
    const isEnabled = await fromDatabase(
      () => this.catalogue.isEnabledFor(actingAs, entry),
      attempt.signal,
    );
    if (!isEnabled) {
      return stepFailed(
        'plugin.not_enabled',
        `the plugin ${entry.manifest.id} is not enabled for this tenant; a tenant admin enables it with PUT /api/plugins/${entry.manifest.id}`,
      );
    }
    const limits = effectiveLimits(entry.manifest.limits);
    const call: StepCall = {
      id: newId(),
      tenantId: lease.tenantId,
      plugin: {
        id: entry.manifest.id,
        version: entry.manifest.version,
        digest: entry.manifest.bundle.digest,
        tier: entry.manifest.tier,
      },
      action,
      loadBundle: () =>
        fromDatabase(() => this.catalogue.loadBundle(entry.manifest.bundle.digest), attempt.signal),
      input,
      credential: null,
      idempotencyKey: `${lease.executionId}:${step.id}:0`,
      limits,
    };
    const grant: EgressGrant = {
      tenant: { id: lease.tenantId, name: attempt.tenantName },
      hosts: resolveHostPermissions(
        entry.manifest.permissions.hosts,
        { input, credential: null },
        action.generic === true,
      ),
      responseBytes: limits.responseBytes,
      timeoutMs: limits.wallMs,
    };
    const host: HostCalls = {
      http: (request, signal) => this.egress.send(grant, request, signal),
      log: (line) => logs.push(line),
    };
    const signal =
      step.timeoutMs === null
        ? attempt.signal
        : AbortSignal.any([attempt.signal, AbortSignal.timeout(step.timeoutMs)]);
    const result = await this.sandbox.run(call, wrapCalls(host, attempt), signal);
    return result.success ? await this.checkOutput(prepared, attempt, result) : result;
  }

  private async checkOutput(
    { step, entry, action }: PreparedStep,
    { lease, signal }: Attempt,
    result: ProviderResult,
  ): Promise<ProviderResult> {
    const verdict = await this.schemas.check({
      key: `${entry.digest}/${action.id}/output`,
      schema: action.output,
      value: result.output,
      trusted: entry.origin === 'first_party',
      tenantId: lease.tenantId,
      signal,
    });
    if (verdict.ok) return result;
    const { metadata } = result;
    const name = `${step.provider}.${step.action}`;
    if (verdict.fault === 'unavailable') {
      const message = `${name} ran, but its output could not be checked: ${verdict.detail}`;
      return stepFailed('engine.failed', message, { metadata });
    }
    return stepFailed(
      'plugin.output_invalid',
      `the output of ${name} is not what its schema says: ${describeFault(verdict)}`,
      { metadata },
    );
  }
}

/** What a step needs of the database it waits for: that is no failure of the step's. */
function fromDatabase<T>(read: () => Promise<T>, signal: AbortSignal): Promise<T> {
  return withPatience(read, { clock: systemClock, signal });
}

function wrapCalls(host: HostCalls, { calls, isReplay }: Attempt): HostCalls {
  if (!calls) return host;
  return isReplay ? calls.replay(host) : calls.record(host);
}
