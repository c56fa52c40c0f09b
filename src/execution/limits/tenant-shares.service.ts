import { Injectable } from '@nestjs/common';

import type { Ctx } from '../../common/ctx.js';
import { AppError } from '../../common/errors.js';
import { Database, type Tx } from '../../database/database.js';
import { AuditService } from '../../tenancy/audit/audit.service.js';
import type { SetShareDto } from './limits.dto.js';
import { RecentLimits } from './recent-limits.js';

/** Runs that begin in a tenant's turn, when nobody said otherwise. */
const DEFAULT_WEIGHT = 10;

/** The share as PUT takes it. */
export interface ShareView {
  weight: number;
  max_running: number | null;
  /** For how long its executions are kept; null: for as long as those of others. */
  log_retention_days: number | null;
}

/** The operator's share for each tenant: across tenants, so through functions of the system role. */
@Injectable()
export class TenantSharesService {
  constructor(
    private readonly database: Database,
    private readonly recent: RecentLimits,
    private readonly audit: AuditService,
  ) {}

  /**
   * @param tenant id or name
   * @throws AppError request.not_found
   */
  async getShare(ctx: Ctx, tenant: string): Promise<ShareView> {
    return (await this.database.withTenant(ctx, (tx) => getTenantShare(tx, tenant))).share;
  }

  /**
   * Replaces a tenant's share. It holds for what begins from now on: within half a second for runs that
   * begin without a way through the queue, at once for all others.
   * @param tenant id or name
   * @throws AppError request.not_found
   */
  async setShare(ctx: Ctx, tenant: string, input: SetShareDto): Promise<ShareView> {
    const share: ShareView = {
      weight: input.weight ?? DEFAULT_WEIGHT,
      max_running: input.max_running ?? null,
      log_retention_days: input.log_retention_days ?? null,
    };
    const { id } = await this.database.withTenant(ctx, async (tx) => {
      const found = await getTenantShare(tx, tenant);
      await tx.query('select set_tenant_share($1, $2, $3, $4)', [
        found.id,
        share.weight,
        share.max_running,
        share.log_retention_days,
      ]);
      await this.audit.record(tx, ctx, {
        action: 'tenant.share_changed',
        subject: { type: 'tenant', id: found.id },
        details: { tenant: found.name, before: { ...found.share }, after: { ...share } },
      });
      return found;
    });
    await this.recent.noteChange(id);
    return share;
  }
}

/** What a row of `tenant_shares` says, or its absence. */
export function toShareView(row: ShareView | null): ShareView {
  return {
    weight: row?.weight ?? DEFAULT_WEIGHT,
    max_running: row?.max_running ?? null,
    log_retention_days: row?.log_retention_days ?? null,
  };
}

async function getTenantShare(
  tx: Tx,
  tenant: string,
): Promise<{ id: string; name: string; share: ShareView }> {
  const [row] = await tx.query<
    { tenant_id: string; tenant_name: string; share: ShareView | null }[]
  >('select * from find_tenant_share($1)', [tenant]);
  if (!row) throw new AppError('request.not_found', `there is no tenant "${tenant}"`);
  return { id: row.tenant_id, name: row.tenant_name, share: toShareView(row.share) };
}
