import { Injectable } from '@nestjs/common';

import { BoundedCache } from '../common/bounded-cache.js';
import { Database, type TxCtx } from '../database/database.js';
import { User } from './user.entity.js';

const MAX_AGE_MS = 500;
const MAX_CACHED_USERS = 10_000;

/** Whether those whom runs act as may still act: somebody disabled has no steps run in his name. */
@Injectable()
export class ActiveUsers {
  private readonly recent = new BoundedCache<{ readAt: number; isActive: boolean }>(
    MAX_CACHED_USERS,
  );

  constructor(private readonly database: Database) {}

  /** As of at most 500 ms ago: steps ask before every attempt. */
  async isActive(ctx: TxCtx): Promise<boolean> {
    const key = `${ctx.tenantId}/${ctx.userId}`;
    const known = this.recent.get(key);
    if (known && performance.now() - known.readAt < MAX_AGE_MS) return known.isActive;
    const readAt = performance.now();
    const isActive = await this.database.withTenant(ctx, async (tx) => {
      const { tenantId, userId: id } = ctx;
      const user = await tx.findOneBy(User, { tenantId, id });
      return user?.disabledAt === null;
    });
    this.recent.set(key, { readAt, isActive });
    return isActive;
  }
}
