import { Injectable } from '@nestjs/common';

import { BoundedCache } from '../../common/bounded-cache.js';
import { Database, type TxCtx } from '../../database/database.js';
import type { RunDefinition } from '../run-store.js';
import { demandsOf } from './demands.js';

/** A change made on another host counts here within a second. */
const MAX_AGE_MS = 500;
const MAX_CACHED_TENANTS = 10_000;

/** Says of new runs whether a limit concerns them, as of at most 500 ms ago: each run that begins asks. */
@Injectable()
export class RecentLimits {
  private readonly recent = new BoundedCache<{ readAt: number; limited: Promise<Set<string>> }>(
    MAX_CACHED_TENANTS,
  );

  constructor(private readonly database: Database) {}

  /** Then it has to queue: limits are counted where runs are claimed. So has it while nobody can look. */
  async concern(ctx: TxCtx, run: LimitedRun): Promise<boolean> {
    if (this.database.isAway) return true;
    const limited = await this.read(ctx);
    return limited.size > 0 && demandsOf(run).some((demand) => limited.has(demand));
  }

  /** After a change was committed on this host: the next one who asks reads it. */
  forget(tenantId: string): void {
    this.recent.delete(tenantId);
  }

  /** A limit was changed: it holds here at once, and what waited for room may begin. */
  async noteChange(tenantId: string): Promise<void> {
    this.forget(tenantId);
    await this.database.query('select announce_work($1)', [[tenantId]]);
  }

  private async read(ctx: TxCtx): Promise<Set<string>> {
    const known = this.recent.get(ctx.tenantId);
    if (known && performance.now() - known.readAt < MAX_AGE_MS) return await known.limited;
    const entry = { readAt: performance.now(), limited: this.readFresh(ctx) };
    this.recent.set(ctx.tenantId, entry);
    try {
      return await entry.limited;
    } catch (error) {
      if (this.recent.get(ctx.tenantId) === entry) this.forget(ctx.tenantId);
      throw error;
    }
  }

  private async readFresh(ctx: TxCtx): Promise<Set<string>> {
    const rows = await this.database.withTenant(ctx, (tx) =>
      tx.query<{ demand: string }[]>(
        `select kind || ':' || subject as demand from execution_limits where tenant_id = $1
         union all
         select 'tenant:all' from tenant_shares where tenant_id = $1 and max_running is not null`,
        [ctx.tenantId],
      ),
    );
    return new Set(rows.map(({ demand }) => demand));
  }
}

export interface LimitedRun {
  planId: string | null;
  definition: Pick<RunDefinition, 'steps'>;
}
