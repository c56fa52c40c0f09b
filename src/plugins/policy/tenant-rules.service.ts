import { Injectable } from '@nestjs/common';

import { BoundedCache } from '../../common/bounded-cache.js';
import { Database, type Tx, type TxCtx } from '../../database/database.js';
import type { TenantRules } from './decide.js';
import { OPEN_POLICY, type OperatorPolicy } from './operator-policy.js';
import type { TenantDecision } from './tenant-decision.js';

/** A change made on another host counts here within a second; the rest is for reading it. */
const MAX_AGE_MS = 500;
const MAX_CACHED_TENANTS = 10_000;

/** What decides which plugins a tenant may use, as its members may read it. */
@Injectable()
export class TenantRulesService {
  private readonly recent = new BoundedCache<{ readAt: number; rules: Promise<TenantRules> }>(
    MAX_CACHED_TENANTS,
  );

  constructor(private readonly database: Database) {}

  /** As they are now. */
  async read(ctx: TxCtx): Promise<TenantRules> {
    const entry = { readAt: performance.now(), rules: this.readFresh(ctx) };
    this.recent.set(ctx.tenantId, entry);
    try {
      return await entry.rules;
    } catch (error) {
      if (this.recent.get(ctx.tenantId) === entry) this.forget(ctx.tenantId);
      throw error;
    }
  }

  /** As of at most 500 ms ago: steps ask before every attempt. */
  async readRecent(ctx: TxCtx): Promise<TenantRules> {
    const entry = this.recent.get(ctx.tenantId);
    const isRecent = entry !== undefined && performance.now() - entry.readAt < MAX_AGE_MS;
    return isRecent ? await entry.rules : await this.read(ctx);
  }

  /** After a change was committed on this host: the next one who asks reads it. */
  forget(tenantId: string): void {
    this.recent.delete(tenantId);
  }

  private async readFresh(ctx: TxCtx): Promise<TenantRules> {
    return await this.database.withTenant(ctx, (tx) => readRules(tx, ctx.tenantId));
  }
}

/**
 * Inside a transaction of the tenant's. One statement, so that policy and decisions are of one moment:
 * whoever had to wait for one of them doesn't go by what the other was before.
 */
export async function readRules(tx: Tx, tenantId: string): Promise<TenantRules> {
  const [row] = await tx.query<[RulesRow]>(READ_RULES, [tenantId]);
  return {
    policy: row.policy ?? OPEN_POLICY,
    decisions: new Map(row.decisions.map(({ pluginId, ...decision }) => [pluginId, decision])),
  };
}

interface RulesRow {
  policy: OperatorPolicy | null;
  decisions: (TenantDecision & { pluginId: string })[];
}

const READ_RULES = `
  select (select jsonb_build_object('default', default_rule, 'include', include, 'exclude', exclude,
                                    'tierCap', tier_cap, 'hostCap', host_cap)
            from tenant_policies where tenant_id = $1) as policy,
         (select coalesce(jsonb_agg(jsonb_build_object(
                   'pluginId', plugin_id, 'enabled', enabled, 'allowedActions', allowed_actions,
                   'hostCap', host_cap, 'consented', consented)), '[]')
            from tenant_plugins where tenant_id = $1) as decisions`;
