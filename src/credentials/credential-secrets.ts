import { Injectable, Logger } from '@nestjs/common';

import type { Ctx } from '../common/ctx.js';
import type { TxCtx } from '../database/database.js';
import { CredentialUnreadableError } from '../egress/credential.js';
import { AuditService } from '../tenancy/audit/audit.service.js';
import type { Credential } from './credential.entity.js';
import type { SecretPlace } from './vault/secret-box.js';
import { Vault } from './vault/vault.js';

/** The one way to a credential's clear secrets. */
@Injectable()
export class CredentialSecrets {
  private readonly logger = new Logger('credentials');

  constructor(
    private readonly vault: Vault,
    private readonly audit: AuditService,
  ) {}

  /**
   * Decrypts every secret field of a row. One that doesn't belong there is told to the audit log.
   * @throws CredentialUnreadableError
   */
  async open(
    ctx: TxCtx & Partial<Pick<Ctx, 'actorId' | 'requestId'>>,
    row: Credential,
  ): Promise<Record<string, string>> {
    try {
      return await this.vault.open(ctx, placeOf(row), row);
    } catch (error) {
      if (!(error instanceof CredentialUnreadableError)) throw error;
      this.logger.error(
        { tenant_id: row.tenantId, credential_id: row.id, reason: error.message },
        'a credential is unreadable',
      );
      await this.audit.recordAlone(ctx, {
        action: 'credential.unreadable',
        subject: { type: 'credential', id: row.id },
        outcome: 'refused',
        details: { provider: row.provider, name: row.name, reason: error.message },
      });
      throw error;
    }
  }
}

/** What the secrets of a row are bound to. */
export function placeOf(
  row: Pick<Credential, 'id' | 'provider' | 'type' | 'scope' | 'ownerId' | 'hosts'>,
): SecretPlace {
  return {
    provider: row.provider,
    type: row.type,
    credentialId: row.id,
    ownerId: row.scope === 'user' ? row.ownerId : null,
    hosts: row.hosts,
  };
}
