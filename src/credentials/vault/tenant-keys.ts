import { createSecretKey, randomBytes } from 'node:crypto';

import { Inject, Injectable } from '@nestjs/common';

import { BoundedCache } from '../../common/bounded-cache.js';
import { Database, type Tx, type TxCtx } from '../../database/database.js';
import { CredentialUnreadableError } from '../../egress/credential.js';
import { KEY_WRAPPER, type KeyWrapper, type WrappedKey } from './key-wrapper.js';
import type { DataKey } from './secret-box.js';
import { TenantKey } from './tenant-key.entity.js';

const DATA_KEY_BYTES = 32;
const MAX_CACHED_KEYS = 1_000;
/** A root key that a key management service withdraws ends with it. */
const CACHED_KEY_MAX_AGE_MS = 5 * 60_000;

/** The data keys of tenants: made at first use, wrapped in the table, in clear only here. */
@Injectable()
export class TenantKeys {
  private readonly cache = new BoundedCache<{ key: DataKey; unwrappedAt: number }>(MAX_CACHED_KEYS);

  constructor(
    private readonly database: Database,
    @Inject(KEY_WRAPPER) private readonly wrapper: KeyWrapper,
  ) {}

  /**
   * The newest key of the caller's tenant, made if there is none. Asks the wrapper, which may be far
   * away: never inside a transaction.
   * @throws CredentialUnreadableError when it can't be unwrapped
   */
  async getCurrent(ctx: TxCtx): Promise<DataKey> {
    const row = (await this.findNewest(ctx)) ?? (await this.makeFirst(ctx));
    return await this.unwrap(row);
  }

  /** @throws CredentialUnreadableError when there is no such version, or it can't be unwrapped */
  async getVersion(ctx: TxCtx, version: number): Promise<DataKey> {
    const cached = this.findCached(ctx.tenantId, version);
    if (cached) return cached;
    const row = await this.database.withTenant(ctx, (tx) =>
      tx.findOneBy(TenantKey, { tenantId: ctx.tenantId, version }),
    );
    if (row) return await this.unwrap(row);
    throw new CredentialUnreadableError(
      `the tenant has no key of version ${String(version)}: it was changed in the database`,
    );
  }

  /** A new data key for a tenant, wrapped but not stored. */
  async makeWrapped(tenantId: string, version: number): Promise<WrappedKey> {
    const dataKey = randomBytes(DATA_KEY_BYTES);
    try {
      return await this.wrapper.wrap(dataKey, { tenantId, version });
    } finally {
      dataKey.fill(0);
    }
  }

  private async findNewest(ctx: TxCtx): Promise<TenantKey | null> {
    return await this.database.withTenant(ctx, (tx) =>
      tx.findOne(TenantKey, { where: { tenantId: ctx.tenantId }, order: { version: 'DESC' } }),
    );
  }

  /** Whoever comes second takes what the first one made. */
  private async makeFirst(ctx: TxCtx): Promise<TenantKey> {
    const { rootKeyId, wrappedKey } = await this.makeWrapped(ctx.tenantId, 1);
    return await this.database.withTenant(ctx, async (tx) => {
      await tx.query(
        `insert into tenant_keys (tenant_id, version, root_key_id, wrapped_key)
         values ($1, 1, $2, $3) on conflict (tenant_id, version) do nothing`,
        [ctx.tenantId, rootKeyId, wrappedKey],
      );
      return await tx.findOneByOrFail(TenantKey, { tenantId: ctx.tenantId, version: 1 });
    });
  }

  private async unwrap(row: TenantKey): Promise<DataKey> {
    const { tenantId, version } = row;
    const cached = this.findCached(tenantId, version);
    if (cached) return cached;
    const clear = await this.wrapper.unwrap(row, { tenantId, version });
    // A KeyObject shows its bytes to no log and no inspector by accident.
    const key: DataKey = { tenantId, version, key: createSecretKey(clear) };
    clear.fill(0);
    this.cache.set(cacheKey(tenantId, version), { key, unwrappedAt: performance.now() });
    return key;
  }

  private findCached(tenantId: string, version: number): DataKey | null {
    const cached = this.cache.get(cacheKey(tenantId, version));
    if (!cached) return null;
    if (performance.now() - cached.unwrappedAt < CACHED_KEY_MAX_AGE_MS) return cached.key;
    this.cache.delete(cacheKey(tenantId, version));
    return null;
  }
}

/**
 * Whether `key` is still the newest. From here to the end of the transaction no rotation adds
 * another, so that what is sealed with it isn't missed by the one who seals everything anew.
 */
export async function holdAsNewest(tx: Tx, key: DataKey): Promise<boolean> {
  await tx.query('select pg_advisory_xact_lock_shared(tenant_key_lock($1))', [key.tenantId]);
  // A statement of its own: it has to see what was stored while the lock was waited for.
  const [row] = await tx.query<{ version: number }[]>(
    'select max(version) as version from tenant_keys where tenant_id = $1',
    [key.tenantId],
  );
  return row?.version === key.version;
}

function cacheKey(tenantId: string, version: number): string {
  return `${tenantId} ${String(version)}`;
}
