import { Injectable, Logger } from '@nestjs/common';

import { systemClock } from '../common/clock.js';
import { newId } from '../common/ids.js';
import type { JsonObject } from '../common/json.js';
import { stepFailed, type ProviderResult } from '../common/provider-result.js';
import { CredentialUnreadableError } from '../egress/credential.js';
import { EgressGateway } from '../egress/gateway.js';
import { redactResult } from '../egress/redacted.js';
import { Redactor } from '../egress/redaction.js';
import type { EgressSession } from '../egress/session.js';
import { PluginCatalogue, type CatalogueEntry } from '../plugins/plugin-catalogue.js';
import type { HostCalls, LogLine, StepCall, TrustClass } from '../sandbox/sandbox.js';
import { TieredSandbox } from '../sandbox/tiered-sandbox.js';
import { withPatience } from './database-patience.js';
import { effectiveLimits } from './effective-limits.js';
import type { ReplayedCalls } from './replayed-calls.js';
import type { Lease } from './run-store.js';
import { describeFault, SchemaChecks } from './schema-checks.js';
import { findSecretsFault, secretTexts } from './secret-params.js';
import { StepAccessService } from './step-access.js';
import type { PreparedStep } from './step-preparer.js';

export interface Attempt {
  lease: Lease;
  tenantName: string;
  /** 0, or the place of an item in the list of a `for_each`. */
  iteration: number;
  attempt: number;
  /** For a step that may not be sent twice. */
  calls: ReplayedCalls | null;
  /** Whether this attempt is answered from what the one before was given. */
  isReplay: boolean;
  signal: AbortSignal;
}

/** What an attempt leaves behind besides its result. */
interface Traces {
  logs: LogLine[];
  /** With the credential that it may place. */
  session: EgressSession | null;
  credentialId: string | null;
}

/** Runs one attempt of a prepared step: what it may use, the sandbox, and what came of it. */
@Injectable()
export class StepRunner {
  private readonly logger = new Logger('execution');

  constructor(
    private readonly catalogue: PluginCatalogue,
    private readonly sandbox: TieredSandbox,
    private readonly egress: EgressGateway,
    private readonly access: StepAccessService,
    private readonly schemas: SchemaChecks,
  ) {}

  /** Never throws: what goes wrong is in the result. */
  async run(prepared: PreparedStep, attempt: Attempt): Promise<ProviderResult> {
    const { step, entry, action, input } = prepared;
    const startedAt = performance.now();
    const traces: Traces = { logs: [], session: null, credentialId: null };
    const secrets = secretTexts(action.input, input);
    const fault = findSecretsFault(secrets);
    let result: ProviderResult;
    try {
      result =
        fault === null
          ? await this.runOnce(prepared, attempt, traces)
          : stepFailed('input.invalid', `the step was not run: ${fault}`);
    } catch (error) {
      this.logger.error(
        { err: error, execution_id: attempt.lease.executionId, step_id: step.id },
        'a step could not be run',
      );
      result = stepFailed('engine.failed', 'the host could not run this step; its log says why');
    }
    const shown = redactTraces(result, traces, new Redactor(fault === null ? secrets : []));
    const { session, credentialId } = traces;
    // The host's own words stay: who could make them a secret could hide them from the audit log.
    const metadata: JsonObject = {
      ...shown.metadata,
      latency_ms: Math.round(performance.now() - startedAt),
      attempts: attempt.attempt,
      provider: step.provider,
      action: action.id,
      version: entry.manifest.version,
    };
    if (session?.wasOpened === true && credentialId !== null) {
      metadata['credential_id'] = credentialId;
    }
    return { ...shown, metadata };
  }

  private async runOnce(
    prepared: PreparedStep,
    attempt: Attempt,
    traces: Traces,
  ): Promise<ProviderResult> {
    const { step, entry, action, input } = prepared;
    const { lease, tenantName } = attempt;
    const { manifest } = entry;
    const limits = effectiveLimits(manifest.limits);
    const access = await this.access.decide(prepared, {
      lease,
      tenantName,
      limits,
      signal: attempt.signal,
    });
    if (!access.ok) return access.result;
    const { grant, credential, assertStillAllowed } = access.use;
    const session = this.egress.session(grant);
    traces.session = session;
    traces.credentialId = credential?.id ?? null;
    const call: StepCall = {
      id: newId(),
      tenantId: lease.tenantId,
      plugin: {
        id: manifest.id,
        version: manifest.version,
        digest: manifest.bundle.digest,
        tier: manifest.tier,
        trust: trustOf(entry),
      },
      action,
      loadBundle: () =>
        // A database that is away is no failure of the step's.
        withPatience(() => this.catalogue.loadBundle(manifest.bundle.digest), {
          clock: systemClock,
          signal: attempt.signal,
        }),
      input,
      credential: credential?.fields ?? null,
      idempotencyKey: `${lease.executionId}:${step.id}:${String(attempt.iteration)}`,
      limits,
    };
    const host: HostCalls = {
      http: async (request, signal) => {
        await assertStillAllowed(signal);
        return await session.send(request, signal);
      },
      log: (line) => traces.logs.push(line),
    };
    const signal =
      step.timeoutMs === null
        ? attempt.signal
        : AbortSignal.any([attempt.signal, AbortSignal.timeout(step.timeoutMs)]);
    const ran = await this.sandbox.run(call, wrapCalls(host, attempt), signal);
    // A wait gives what it is for; its output comes when it is over.
    const isOutput = ran.success && action.form !== 'wait';
    const { signal: live } = attempt;
    const result = isOutput
      ? await this.checkOutput(prepared, lease, { result: ran, signal: live })
      : ran;
    return credential ? afterUse(result, session) : result;
  }

  /** A result whose output is what the action's schema says, or the error that it isn't. */
  async checkOutput(
    { step, entry, action }: PreparedStep,
    lease: Lease,
    { result, signal }: { result: ProviderResult; signal: AbortSignal },
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

/** Whose code it is: a stranger's, a plan author's own, or what ships with the host. */
function trustOf({ origin, manifest }: CatalogueEntry): TrustClass {
  if (origin !== 'first_party') return 'third_party';
  return manifest.id === 'code' ? 'own_code' : 'operator';
}

/** The last net: no secret should have come this far. */
function redactTraces(
  { metadata, ...result }: ProviderResult,
  { logs, session }: Traces,
  params: Redactor,
): ProviderResult {
  const lines = logs.map(({ level, message }) => ({ level, message }));
  const traced = { ...metadata, ...(lines.length > 0 ? { logs: lines } : {}) };
  const shown = redactResult({ ...result, metadata: traced }, params);
  return session ? redactResult(shown, session.redactor) : shown;
}

/** What is told of a step that had a credential and could not use it. */
function afterUse(result: ProviderResult, session: EgressSession): ProviderResult {
  const { error, metadata } = result;
  if (error?.details?.['reason'] === 'credential') {
    // A secret that fits into no header won't fit the next time.
    return { ...result, error: { ...error, retryable: false } };
  }
  if (error === null || !(session.credentialFailure instanceof CredentialUnreadableError)) {
    return result;
  }
  return stepFailed(
    'credential.unreadable',
    "the credential can't be decrypted, so nothing was sent with it; store it again",
    { metadata },
  );
}

function wrapCalls(host: HostCalls, { calls, isReplay }: Attempt): HostCalls {
  if (!calls) return host;
  return isReplay ? calls.replay(host) : calls.record(host);
}
