import { Injectable, Logger } from '@nestjs/common';
import type { ActionManifest } from '@stepwell/plugin-sdk';

import { systemClock } from '../common/clock.js';
import type { JsonObject, JsonValue } from '../common/json.js';
import { stepFailed, type ProviderResult, type StepErrorCode } from '../common/provider-result.js';
import { EgressGateway, type EgressGrant } from '../egress/gateway.js';
import { resolveHostPermissions } from '../egress/hosts.js';
import type { PlanStep } from '../plans/rules/plan-definition.js';
import { resolveReferences, UnresolvedReferenceError } from '../plans/rules/references.js';
import { resolveEffects, type ResolvedEffects } from '../plans/rules/retry-policy.js';
import { PluginCatalogue, type CatalogueEntry } from '../plugins/plugin-catalogue.js';
import type { HostCalls, LogLine, StepCall } from '../sandbox/sandbox.js';
import {
  SchemaValidator,
  type SchemaQuestion,
  type SchemaVerdict,
} from '../sandbox/schema/schema-validator.js';
import { TieredSandbox } from '../sandbox/tiered-sandbox.js';
import { withPatience } from './database-patience.js';
import { effectiveLimits } from './effective-limits.js';
import type { ReplayedCalls } from './replayed-calls.js';
import type { Lease } from './run-store.js';
import type { Walk } from './walk.js';
import { newId } from '../common/ids.js';

/** A step whose references are resolved and whose input its action takes. */
export interface PreparedStep {
  step: PlanStep;
  entry: CatalogueEntry;
  action: ActionManifest;
  input: JsonValue;
  effects: ResolvedEffects;
}

export type Preparation =
  { ok: true; prepared: PreparedStep } | { ok: false; input: JsonValue; result: ProviderResult };

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

const MAX_VALIDATION_TRIES = 5;
const VALIDATION_PAUSE_MS = 200;

/** Runs one attempt of one step: all between its references and its ProviderResult. */
@Injectable()
export class StepRunner {
  private readonly logger = new Logger('execution');

  constructor(
    private readonly catalogue: PluginCatalogue,
    private readonly sandbox: TieredSandbox,
    private readonly egress: EgressGateway,
    private readonly validator: SchemaValidator,
  ) {}

  /**
   * Finds what the step pinned, resolves its references, and holds the result against the action's
   * schema.
   */
  async prepare(
    walk: Pick<Walk, 'run' | 'state' | 'signal'>,
    step: PlanStep,
  ): Promise<Preparation> {
    const { run, state } = walk;
    const pin = run.definition.pins[step.id];
    const entry = pin
      ? await fromDatabase(() => this.catalogue.findByDigest(pin.digest), walk.signal)
      : null;
    const action = entry?.manifest.actions.find(({ id }) => id === step.action);
    if (!entry || !action) {
      return failed(
        step.params,
        'plugin.unavailable',
        `this host does not have ${step.provider}.${step.action} ${pin?.version ?? ''} (${pin?.digest ?? 'not pinned'}); install that plugin version again`,
      );
    }
    let params: JsonValue;
    try {
      params = resolveReferences(step.params, state.scope, {
        schema: action.input,
        meter: state.meter,
      });
    } catch (error) {
      if (!(error instanceof UnresolvedReferenceError)) throw error;
      return failed(
        step.params,
        error.reason === 'missing' ? 'reference.missing' : 'input.invalid',
        error.message,
        {
          pointer: error.pointer,
          reference: error.reference,
        },
      );
    }
    const verdict = await this.validate({
      key: `${entry.digest}/${action.id}/input`,
      schema: action.input,
      value: params,
      trusted: entry.origin === 'first_party',
      applyDefaults: true,
      tenantId: run.lease.tenantId,
      signal: walk.signal,
    });
    if (!verdict.ok) {
      const name = `${step.provider}.${step.action}`;
      if (verdict.fault === 'unavailable') {
        return failed(
          params,
          'sandbox.unavailable',
          `the input of ${name} can't be checked now: ${verdict.detail}`,
        );
      }
      const details = {
        errors: verdict.errors.map(({ pointer, detail }) => ({ pointer, detail })),
      };
      return failed(
        params,
        'input.invalid',
        `the input of ${name} is not valid: ${describe(verdict)}`,
        details,
      );
    }
    const effects = resolveEffects(action.effects, verdict.value);
    return { ok: true, prepared: { step, entry, action, input: verdict.value, effects } };
  }

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
    const verdict = await this.validate({
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
      `the output of ${name} is not what its schema says: ${describe(verdict)}`,
      { metadata },
    );
  }

  /** Asks a few times when the thread for untrusted schemas has no time. */
  private async validate(question: SchemaQuestion): Promise<SchemaVerdict> {
    for (let tries = 1; ; tries++) {
      const verdict = await this.validator.validate(question);
      const isBusy = !verdict.ok && verdict.fault === 'unavailable';
      if (!isBusy || tries >= MAX_VALIDATION_TRIES || question.signal?.aborted === true)
        return verdict;
      await systemClock.sleep(VALIDATION_PAUSE_MS * tries, question.signal);
    }
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

function failed(
  input: JsonValue,
  code: StepErrorCode,
  message: string,
  details?: JsonObject,
): Preparation {
  return { ok: false, input, result: stepFailed(code, message, details ? { details } : {}) };
}

function describe(verdict: {
  detail?: string;
  errors: { pointer: string; detail: string }[];
}): string {
  if (verdict.detail !== undefined) return verdict.detail;
  return verdict.errors
    .slice(0, 3)
    .map(({ pointer, detail }) => `${pointer || 'it'} ${detail}`)
    .join('; ');
}
