import { Injectable } from '@nestjs/common';

import type { Ctx } from '../common/ctx.js';
import { AppError, type Problem } from '../common/errors.js';
import { invalidRequest } from '../common/http/validation.pipe.js';
import { canonicalJson, type JsonObject } from '../common/json.js';
import { suggestion } from '../common/nearest-name.js';
import { Database } from '../database/database.js';
import { AuditService } from '../tenancy/audit/audit.service.js';
import { PluginCatalogue } from './plugin-catalogue.js';
import { toPluginView, type PluginView } from './plugin-view.js';
import {
  changeDecision,
  type ChangeOutcome,
  type DecisionChange,
  type Versions,
} from './policy/change-decision.js';
import { decisionOn } from './policy/decide.js';
import { findHostCapProblems } from './policy/host-cap.js';
import { describePermissions } from './policy/permissions.js';
import type { TenantDecision } from './policy/tenant-decision.js';
import { readRules, TenantRulesService } from './policy/tenant-rules.service.js';
import { TenantPlugin } from './tenant-plugin.entity.js';

/** What a tenant decides about plugins. */
@Injectable()
export class TenantPluginsService {
  constructor(
    private readonly catalogue: PluginCatalogue,
    private readonly rules: TenantRulesService,
    private readonly database: Database,
    private readonly audit: AuditService,
  ) {}

  /** Every plugin of the installation by id, with what the caller's tenant may do with it and why. */
  async listPlugins(ctx: Ctx): Promise<PluginView[]> {
    const rules = await this.catalogue.rulesOf(ctx);
    return this.catalogue.listVersions().map((versions) => toPluginView(versions, rules));
  }

  /**
   * Changes what is given and leaves the rest. Turning a plugin on is consent to the hosts that its
   * newest version names; what has no end (`*`, hosts out of the input, the worker tier), and what a
   * newer version adds, takes `consent`.
   * @throws AppError request.not_found, request.invalid (an action or a host that isn't one),
   *   plugin.not_permitted, plugin.consent_required (with `version` and `missing`)
   */
  async changePlugin(ctx: Ctx, id: string, change: DecisionChange): Promise<PluginView> {
    await this.catalogue.refresh(); // consent is to the newest version, whichever host stored it
    const versions = this.catalogue.findVersions(id);
    if (!versions) throw new AppError('request.not_found', `there is no plugin "${id}"`);
    const problems = [
      ...findUnknownActions(change.allowedActions ?? [], versions),
      ...findHostCapProblems(change.hostCap ?? [], '/host_cap'),
    ];
    if (problems.length > 0) throw invalidRequest(problems);
    const outcome = await this.store(ctx, versions, change);
    this.rules.forget(ctx.tenantId);
    if (outcome.kind !== 'changed') throw await this.refuse(ctx, id, outcome);
    return toPluginView(versions, await this.rules.read(ctx));
  }

  private async store(
    ctx: Ctx,
    versions: Versions,
    change: DecisionChange,
  ): Promise<ChangeOutcome> {
    const pluginId = versions[0].manifest.id;
    return await this.database.withTenant(ctx, async (tx) => {
      // Two changes of one plugin wait for each other: each keeps what the other one changed.
      await tx.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [
        `plugin ${pluginId} of ${ctx.tenantId}`,
      ]);
      const rules = await readRules(tx, ctx.tenantId);
      const outcome = changeDecision(versions, rules, change);
      if (outcome.kind !== 'changed') return outcome;
      const { decision } = outcome;
      const { tenantId, userId: updatedBy } = ctx;
      await tx.upsert(
        TenantPlugin,
        { tenantId, pluginId, ...toRow(decision), updatedBy, updatedAt: new Date() },
        ['tenantId', 'pluginId'],
      );
      const details = describeChange(decisionOn(versions[0], rules), decision);
      if (Object.keys(details).length > 0) {
        const subject = { type: 'plugin', id: pluginId };
        await this.audit.record(tx, ctx, { action: 'plugin.changed', subject, details });
      }
      return outcome;
    });
  }

  private async refuse(
    ctx: Ctx,
    id: string,
    outcome: Exclude<ChangeOutcome, { kind: 'changed' }>,
  ): Promise<AppError> {
    const error = toError(id, outcome);
    await this.audit.recordAlone(ctx, {
      action: 'plugin.changed',
      subject: { type: 'plugin', id },
      outcome: 'refused',
      details: { code: error.code, reason: error.detail },
    });
    return error;
  }
}

function toError(id: string, outcome: Exclude<ChangeOutcome, { kind: 'changed' }>): AppError {
  if (outcome.kind === 'not_permitted') {
    return new AppError('plugin.not_permitted', outcome.reason);
  }
  const { version, missing } = outcome;
  return new AppError(
    'plugin.consent_required',
    `${id} ${version} asks for ${describePermissions(missing)}; send "consent": true to agree`,
    { extensions: { version, missing } },
  );
}

function findUnknownActions(actions: readonly string[], versions: Versions): Problem[] {
  const known = new Set(
    versions.flatMap(({ manifest }) => manifest.actions.map((action) => action.id)),
  );
  return actions.flatMap((action, index) =>
    known.has(action)
      ? []
      : [
          {
            pointer: `/allowed_actions/${String(index)}`,
            detail: `"${versions[0].manifest.id}" has no action "${action}"${suggestion(action, [...known])}`,
          },
        ],
  );
}

function toRow(
  decision: TenantDecision,
): Pick<TenantPlugin, 'enabled' | 'allowedActions' | 'hostCap' | 'consented'> {
  const { enabled, allowedActions, hostCap, consented } = decision;
  return {
    enabled,
    allowedActions: allowedActions === null ? null : [...new Set(allowedActions)],
    hostCap: hostCap === null ? null : [...new Set(hostCap)],
    consented,
  };
}

/** What is new, by the names that the API gives it. */
function describeChange(before: TenantDecision, after: TenantDecision): JsonObject {
  const old = factsOf(before);
  const changed = Object.entries(factsOf(after)).filter(
    ([name, value]) => canonicalJson(value) !== canonicalJson(old[name] ?? null),
  );
  return Object.fromEntries(changed);
}

function factsOf(decision: TenantDecision): JsonObject {
  const { enabled, allowedActions, hostCap, consented } = toRow(decision);
  return {
    enabled,
    allowed_actions: allowedActions,
    host_cap: hostCap,
    consented: consented && { ...consented },
  };
}
