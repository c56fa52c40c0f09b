import { Injectable } from '@nestjs/common';
import type { ActionManifest } from '@stepwell/plugin-sdk';

import { systemClock } from '../common/clock.js';
import type { JsonObject, JsonValue } from '../common/json.js';
import { stepFailed, type ProviderResult, type StepErrorCode } from '../common/provider-result.js';
import type { PlanStep } from '../plans/rules/plan-definition.js';
import { resolveReferences, UnresolvedReferenceError } from '../plans/rules/references.js';
import { resolveEffects, type ResolvedEffects } from '../plans/rules/retry-policy.js';
import { PluginCatalogue, type CatalogueEntry } from '../plugins/plugin-catalogue.js';
import { PayloadLoads } from './blobs/payload-loads.js';
import { outputsInParams } from './blobs/referenced-outputs.js';
import { withPatience } from './database-patience.js';
import { describeFault, SchemaChecks } from './schema-checks.js';
import { hideSecretParams } from './secret-params.js';
import type { Place, Walk } from './walk.js';

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

/** Takes a step from what its author wrote to what its action is given. */
@Injectable()
export class StepPreparer {
  constructor(
    private readonly catalogue: PluginCatalogue,
    private readonly schemas: SchemaChecks,
    private readonly payloads: PayloadLoads,
  ) {}

  /**
   * Finds what the step pinned, resolves its references, and holds the result against the action's
   * schema.
   * @throws LeaseLost, and what storage throws
   */
  async prepare(
    walk: Pick<Walk, 'run' | 'state' | 'journal' | 'signal'>,
    { step, scope }: Pick<Place, 'step' | 'scope'>,
  ): Promise<Preparation> {
    const found = await this.find(walk, step);
    if (!found) {
      const pin = walk.run.definition.pins[step.id];
      // Nobody can tell which of its parameters are secret.
      return failed(
        {},
        'plugin.unavailable',
        `this host does not have ${step.provider}.${step.action} ${pin?.version ?? ''} (${pin?.digest ?? 'not pinned'}); install that plugin version again`,
      );
    }
    const { entry, action } = found;
    const loaded = await this.payloads.load(walk, () => outputsInParams(step.params, action.input));
    if (!loaded.ok) {
      const input = hideSecretParams(action.input, step.params);
      return { ok: false, input, result: loaded.result };
    }
    const resolved = resolveParams(walk, { step, scope, action });
    loaded.release();
    if (!resolved.ok) return resolved;
    const { params } = resolved;
    const shown = hideSecretParams(action.input, params);
    const verdict = await this.schemas.check({
      key: `${entry.digest}/${action.id}/input`,
      schema: action.input,
      value: params,
      trusted: entry.origin === 'first_party',
      applyDefaults: true,
      tenantId: walk.run.lease.tenantId,
      signal: walk.signal,
    });
    if (verdict.ok) {
      const effects = resolveEffects(action.effects, verdict.value);
      return { ok: true, prepared: { step, entry, action, input: verdict.value, effects } };
    }
    const name = `${step.provider}.${step.action}`;
    if (verdict.fault === 'unavailable') {
      const message = `the input of ${name} can't be checked now: ${verdict.detail}`;
      return failed(shown, 'sandbox.unavailable', message);
    }
    const errors = verdict.errors.map(({ pointer, detail }) => ({ pointer, detail }));
    const message = `the input of ${name} is not valid: ${describeFault(verdict)}`;
    return failed(shown, 'input.invalid', message, { errors });
  }

  /** The parameters of a step that is not prepared, as the journal may hold them. */
  async showParams(walk: Pick<Walk, 'run' | 'signal'>, step: PlanStep): Promise<JsonValue> {
    const found = await this.find(walk, step);
    return found ? hideSecretParams(found.action.input, step.params) : {};
  }

  private async find(
    { run, signal }: Pick<Walk, 'run' | 'signal'>,
    step: PlanStep,
  ): Promise<{ entry: CatalogueEntry; action: ActionManifest } | null> {
    const pin = run.definition.pins[step.id];
    if (!pin) return null;
    // Waiting for the database is no failure of the step's.
    const entry = await withPatience(() => this.catalogue.findByDigest(pin.digest), {
      clock: systemClock,
      signal,
    });
    const action = entry?.manifest.actions.find(({ id }) => id === step.action);
    return entry && action ? { entry, action } : null;
  }
}

function resolveParams(
  { state }: Pick<Walk, 'state'>,
  { step, scope, action }: Pick<Place, 'step' | 'scope'> & { action: ActionManifest },
): { ok: true; params: JsonValue } | Extract<Preparation, { ok: false }> {
  try {
    const { meter } = state;
    const params = resolveReferences(step.params, scope, { schema: action.input, meter });
    return { ok: true, params };
  } catch (error) {
    if (!(error instanceof UnresolvedReferenceError)) throw error;
    const code = error.reason === 'missing' ? 'reference.missing' : 'input.invalid';
    const { pointer, reference } = error;
    const shown = hideSecretParams(action.input, step.params);
    return failed(shown, code, error.message, { pointer, reference });
  }
}

function failed(
  input: JsonValue,
  code: StepErrorCode,
  message: string,
  details?: JsonObject,
): Extract<Preparation, { ok: false }> {
  return { ok: false, input, result: stepFailed(code, message, details ? { details } : {}) };
}
