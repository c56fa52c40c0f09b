import type { Ctx } from '../common/ctx.js';
import { AppError } from '../common/errors.js';
import type { JsonObject } from '../common/json.js';
import type { CredentialBindings } from './credential-bindings.js';
import { PluginCatalogue, type CatalogueEntry } from '../plugins/plugin-catalogue.js';
import type { Versions } from '../plugins/policy/change-decision.js';
import {
  decideAccess,
  describeForbiddenAction,
  isAllowed,
  type TenantRules,
} from '../plugins/policy/decide.js';
import type { SchemaValidator } from '../sandbox/schema/schema-validator.js';
import type {
  ActionRef,
  FoundAction,
  ParamsProblem,
  PlanCatalogue,
} from './rules/plan-catalogue.js';

/** The plugin catalogue as plan validation asks it, for one tenant. */
export class TenantPlanCatalogue implements PlanCatalogue {
  private rules: Promise<TenantRules> | undefined;

  constructor(
    private readonly ctx: Ctx,
    private readonly catalogue: PluginCatalogue,
    private readonly validator: SchemaValidator,
    private readonly bindings: { of: CredentialBindings; planOwnerId: string },
  ) {}

  async findAction(provider: string, action: string, version?: string): Promise<FoundAction> {
    const rules = await (this.rules ??= this.catalogue.rulesOf(this.ctx));
    const versions = this.catalogue.findVersions(provider);
    if (!versions) {
      const known = this.catalogue.usableUnder(rules).map(({ entry }) => entry.manifest.id);
      return { status: 'unknown_provider', known };
    }
    const entry = pickVersion(versions, version, rules);
    if (!entry) {
      return { status: 'unknown_version', known: versions.map(({ manifest }) => manifest.version) };
    }
    const access = decideAccess(entry, rules);
    if (!access.usable) {
      const isOthers = versions.some((other) => decideAccess(other, rules).usable);
      const field = isOthers ? 'version' : 'provider';
      return { status: 'unavailable', detail: access.reason, field };
    }
    const { manifest, digest } = entry;
    const found = manifest.actions.find(({ id }) => id === action);
    if (!found) {
      const known = manifest.actions.map(({ id }) => id).filter((id) => isAllowed(access, id));
      return { status: 'unknown_action', known };
    }
    if (!isAllowed(access, action)) {
      const detail = describeForbiddenAction(provider, action);
      return { status: 'unavailable', detail, field: 'action' };
    }
    return {
      status: 'found',
      ref: { provider, version: manifest.version, digest, action },
      inputSchema: found.input,
      waitKind: found.wait?.kind ?? null,
    };
  }

  async validateParams(ref: ActionRef, params: JsonObject): Promise<ParamsProblem[]> {
    const entry = await this.catalogue.findByDigest(ref.digest);
    const action = entry?.manifest.actions.find(({ id }) => id === ref.action);
    if (!entry || !action) return [{ pointer: '', detail: 'this action was removed a moment ago' }];
    const verdict = await this.validator.validate({
      key: `${entry.digest}/${action.id}/input`,
      schema: action.input,
      value: params,
      trusted: entry.origin === 'first_party',
      tenantId: this.ctx.tenantId,
    });
    if (verdict.ok) return [];
    if (verdict.fault === 'value_invalid') return verdict.errors;
    if (verdict.fault === 'unavailable') {
      throw new AppError('service.unavailable', `the plan can't be checked now: ${verdict.detail}`);
    }
    return [{ pointer: '', detail: `can't be checked: ${verdict.detail}` }];
  }

  async findCredentialProblem(ref: ActionRef, credential: string | null): Promise<string | null> {
    const entry = await this.catalogue.findByDigest(ref.digest);
    const action = entry?.manifest.actions.find(({ id }) => id === ref.action);
    if (!action) return 'this action was removed a moment ago';
    const { of: bindings, planOwnerId } = this.bindings;
    const { provider } = ref;
    return await bindings.findProblem(this.ctx, { provider, action, credential, planOwnerId });
  }
}

/** The version that a step names, else the newest that the tenant may use, or whose refusal tells why none is. */
function pickVersion(
  versions: Versions<CatalogueEntry>,
  wanted: string | undefined,
  rules: TenantRules,
): CatalogueEntry | undefined {
  if (wanted !== undefined) return versions.find(({ manifest }) => manifest.version === wanted);
  return versions.find((entry) => decideAccess(entry, rules).usable) ?? versions[0];
}
