import { Injectable } from '@nestjs/common';

import type { Ctx } from '../common/ctx.js';
import { AppError } from '../common/errors.js';
import { newId } from '../common/ids.js';
import { Database, type Tx } from '../database/database.js';
import { AuditService } from '../tenancy/audit/audit.service.js';
import { placeOf } from './credential-secrets.js';
import { Credential, type CredentialScope } from './credential.entity.js';
import { maskSecret } from './mask.js';
import type { DataKey } from './vault/secret-box.js';
import { holdAsNewest } from './vault/tenant-keys.js';
import { Vault } from './vault/vault.js';

/** A credential whose fields were checked. */
export interface NewCredential {
  provider: string;
  type: string;
  name: string;
  scope: CredentialScope;
  fields: Record<string, string>;
  /** In clear. */
  secrets: Record<string, string>;
  hosts: string[];
  expiresAt: Date | null;
}

const MAX_TRIES = 5;

/** Seals and stores credentials, one row per name, scope and owner. */
@Injectable()
export class CredentialStore {
  constructor(
    private readonly database: Database,
    private readonly vault: Vault,
    private readonly audit: AuditService,
  ) {}

  /**
   * Makes the row or replaces what is in it; its id stays, since plans bind it.
   * @throws AppError state.conflict when others change the same name all the time
   */
  async put(ctx: Ctx, credential: NewCredential): Promise<Credential> {
    for (let attempt = 1; attempt <= MAX_TRIES; attempt++) {
      const key = await this.vault.getSealingKey(ctx);
      const stored = await this.database
        .withTenant(ctx, (tx) => this.tryPut(tx, ctx, { credential, key }))
        .catch(nullWhenTaken);
      if (stored) return stored;
    }
    throw new AppError(
      'state.conflict',
      `the credential "${credential.name}" is being changed by others; try again`,
    );
  }

  /** Null: the tenant got a new key meanwhile. */
  private async tryPut(
    tx: Tx,
    ctx: Ctx,
    { credential, key }: { credential: NewCredential; key: DataKey },
  ): Promise<Credential | null> {
    if (!(await holdAsNewest(tx, key))) return null;
    const { tenantId } = ctx;
    const before = await findForUpdate(tx, ctx, credential);
    const id = before?.id ?? newId();
    const { provider, type, name, scope, fields, secrets, hosts, expiresAt } = credential;
    const ownerId = before?.ownerId ?? ctx.userId;
    const sealed = this.vault.seal(
      key,
      placeOf({ id, provider, type, scope, ownerId, hosts }),
      secrets,
    );
    const masked = Object.fromEntries(
      Object.entries(secrets).map(([field, secret]) => [field, maskSecret(secret)]),
    );
    const content = { type, fields, ...sealed, masked, hosts, expiresAt, updatedAt: new Date() };
    if (before) {
      const revision = before.revision + 1;
      await tx.update(Credential, { tenantId, id }, { ...content, revision });
    } else {
      await tx.insert(Credential, { tenantId, id, provider, name, scope, ownerId, ...content });
    }
    await this.audit.record(tx, ctx, {
      action: before ? 'credential.replaced' : 'credential.created',
      subject: { type: 'credential', id },
      details: { provider, type, name, scope, hosts },
    });
    return await tx.findOneByOrFail(Credential, { tenantId, id });
  }
}

async function findForUpdate(
  tx: Tx,
  ctx: Ctx,
  { provider, name, scope }: NewCredential,
): Promise<Credential | null> {
  return await tx.findOne(Credential, {
    where: {
      tenantId: ctx.tenantId,
      provider,
      name,
      scope,
      ...(scope === 'user' ? { ownerId: ctx.userId } : {}),
    },
    lock: { mode: 'pessimistic_write' },
  });
}

/** unique_violation: somebody made the row in the same moment, so it is there to be replaced now. */
function nullWhenTaken(error: unknown): null {
  const code = (error as { driverError?: { code?: string } }).driverError?.code;
  if (code === '23505') return null;
  throw error;
}
