import type { Ctx } from '../common/ctx.js';
import { AppError } from '../common/errors.js';
import type { JsonObject } from '../common/json.js';
import type { CredentialBindings } from './credential-bindings.js';
import { PluginCatalogue, type CatalogueEntry } from '../plugins/plugin-catalogue.js';
import type { SchemaValidator } from '../sandbox/schema/schema-validator.js';
import type {
  ActionRef,
  FoundAction,
  ParamsProblem,
  PlanCatalogue,
} from './rules/plan-catalogue.js';

/** The plugin catalogue as plan validation asks it, for one tenant. */
export class TenantPlanCatalogue implements PlanCatalogue {
  private enabled: Promise<CatalogueEntry[]> | undefined;

  constructor(
    private readonly ctx: Ctx,
    private readonly catalogue: PluginCatalogue,
    private readonly validator: SchemaValidator,
    private readonly bindings: { of: CredentialBindings; planOwnerId: string },
  ) {}

  async findAction(provider: string, action: string, version?: string): Promise<FoundAction> {
    this.enabled ??= this.catalogue.listEnabled(this.ctx);
    const enabled = await this.enabled;
    const versions = this.catalogue.versionsOf(provider);
    if (!enabled.some((entry) => entry.manifest.id === provider)) {
      if (versions.length === 0) {
        return { status: 'unknown_provider', known: enabled.map((entry) => entry.manifest.id) };
      }
      const detail = `the provider "${provider}" is not enabled for this tenant; a tenant admin enables it with PUT /api/plugins/${provider} {"enabled": true}`;
      return { status: 'unavailable', detail };
    }
    const entry = versions.find(
      ({ manifest }) => version === undefined || manifest.version === version,
    );
    if (!entry) {
      return { status: 'unknown_version', known: versions.map(({ manifest }) => manifest.version) };
    }
    const { manifest, digest } = entry;
    const found = manifest.actions.find(({ id }) => id === action);
    if (!found) return { status: 'unknown_action', known: manifest.actions.map(({ id }) => id) };
    return {
      status: 'found',
      ref: { provider, version: manifest.version, digest, action },
      inputSchema: found.input,
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

  async findCredentialProblem(ref: ActionRef, credential: string): Promise<string | null> {
    const entry = await this.catalogue.findByDigest(ref.digest);
    const action = entry?.manifest.actions.find(({ id }) => id === ref.action);
    if (!action) return 'this action was removed a moment ago';
    const { of: bindings, planOwnerId } = this.bindings;
    const { provider } = ref;
    return await bindings.findProblem(this.ctx, { provider, action, credential, planOwnerId });
  }
}
