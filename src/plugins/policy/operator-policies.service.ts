import { Injectable } from '@nestjs/common';
import type { Tier } from '@stepwell/plugin-sdk';

import type { Ctx } from '../../common/ctx.js';
import { AppError, type Problem } from '../../common/errors.js';
import { invalidRequest } from '../../common/http/validation.pipe.js';
import { suggestion } from '../../common/nearest-name.js';
import { Database, type Tx } from '../../database/database.js';
import { AuditService } from '../../tenancy/audit/audit.service.js';
import { PluginCatalogue } from '../plugin-catalogue.js';
import { findHostCapProblems } from './host-cap.js';
import { OPEN_POLICY } from './operator-policy.js';
import type { SetPolicyDto } from './operator-policy.dto.js';
import { TenantRulesService } from './tenant-rules.service.js';

/** The policy as PUT takes it. */
export interface OperatorPolicyView {
  default: 'include' | 'exclude';
  include: string[];
  exclude: string[];
  tier_cap: Tier;
  host_cap: string[] | null;
}

/** The operator's policy of each tenant: across tenants, so through functions of the system role. */
@Injectable()
export class OperatorPoliciesService {
  constructor(
    private readonly database: Database,
    private readonly catalogue: PluginCatalogue,
    private readonly rules: TenantRulesService,
    private readonly audit: AuditService,
  ) {}

  /**
   * @param tenant id or name
   * @throws AppError request.not_found
   */
  async getPolicy(ctx: Ctx, tenant: string): Promise<OperatorPolicyView> {
    const found = await this.database.withTenant(ctx, (tx) => getTenantPolicy(tx, tenant));
    return found.policy;
  }

  /**
   * Replaces a tenant's policy; counts on this host at once, on others within a second.
   * @param tenant id or name
   * @throws AppError request.not_found, request.invalid (ids that no plugin has, wrong hosts)
   */
  async setPolicy(ctx: Ctx, tenant: string, input: SetPolicyDto): Promise<OperatorPolicyView> {
    const policy: OperatorPolicyView = {
      default: input.default ?? OPEN_POLICY.default,
      include: [...new Set(input.include ?? [])],
      exclude: [...new Set(input.exclude ?? [])],
      tier_cap: input.tier_cap ?? OPEN_POLICY.tierCap,
      host_cap: input.host_cap ? [...new Set(input.host_cap)] : null,
    };
    await this.catalogue.refresh(); // another host may have stored a plugin since
    const problems = [
      ...this.findUnknownPlugins(input.include ?? [], '/include'),
      ...this.findUnknownPlugins(input.exclude ?? [], '/exclude'),
      ...findHostCapProblems(input.host_cap ?? [], '/host_cap'),
    ];
    const { id } = await this.database.withTenant(ctx, async (tx) => {
      const found = await getTenantPolicy(tx, tenant);
      if (problems.length > 0) throw invalidRequest(problems);
      await tx.query('select set_tenant_policy($1, $2)', [
        found.id,
        JSON.stringify({ ...policy, default_rule: policy.default }),
      ]);
      await this.audit.record(tx, ctx, {
        action: 'tenant.policy_changed',
        subject: { type: 'tenant', id: found.id },
        details: { tenant: found.name, before: { ...found.policy }, after: { ...policy } },
      });
      return found;
    });
    this.rules.forget(id);
    return policy;
  }

  private findUnknownPlugins(ids: readonly string[], pointer: string): Problem[] {
    const known = this.catalogue.listVersions().map(([newest]) => newest.manifest.id);
    return ids.flatMap((id, index) =>
      known.includes(id)
        ? []
        : [
            {
              pointer: `${pointer}/${String(index)}`,
              detail: `there is no plugin "${id}"${suggestion(id, known)}`,
            },
          ],
    );
  }
}

interface TenantPolicyRow {
  tenant_id: string;
  tenant_name: string;
  policy: (Omit<OperatorPolicyView, 'default'> & { default_rule: 'include' | 'exclude' }) | null;
}

async function getTenantPolicy(
  tx: Tx,
  tenant: string,
): Promise<{ id: string; name: string; policy: OperatorPolicyView }> {
  const [row] = await tx.query<TenantPolicyRow[]>('select * from find_tenant_policy($1)', [tenant]);
  if (!row) throw new AppError('request.not_found', `there is no tenant "${tenant}"`);
  return { id: row.tenant_id, name: row.tenant_name, policy: toView(row.policy) };
}

function toView(policy: TenantPolicyRow['policy']): OperatorPolicyView {
  return {
    default: policy?.default_rule ?? OPEN_POLICY.default,
    include: policy?.include ?? [],
    exclude: policy?.exclude ?? [],
    tier_cap: policy?.tier_cap ?? OPEN_POLICY.tierCap,
    host_cap: policy?.host_cap ?? null,
  };
}
