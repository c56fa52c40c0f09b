import { Injectable } from '@nestjs/common';

import type { TxCtx } from '../../database/database.js';
import { SecretBox, type DataKey, type SealedSecret, type SecretPlace } from './secret-box.js';
import { TenantKeys } from './tenant-keys.js';

/** The secrets of one credential, sealed under one version of the tenant's data key. */
export interface SealedSecrets {
  keyVersion: number;
  secrets: Record<string, SealedSecret>;
}

/** Envelope encryption: root key -> the tenant's data key -> each secret field by itself. */
@Injectable()
export class Vault {
  constructor(
    private readonly keys: TenantKeys,
    private readonly box: SecretBox,
  ) {}

  /** The key to seal with. Not inside a transaction; there, `holdAsNewest` tells if it still is the one. */
  async getSealingKey(ctx: TxCtx): Promise<DataKey> {
    return await this.keys.getCurrent(ctx);
  }

  /** Seals every field for its place; no I/O. */
  seal(key: DataKey, place: SecretPlace, clear: Readonly<Record<string, string>>): SealedSecrets {
    const secrets = Object.entries(clear).map(
      ([field, text]) => [field, this.box.seal(key, { place, field }, text)] as const,
    );
    return { keyVersion: key.version, secrets: Object.fromEntries(secrets) };
  }

  /**
   * @returns the clear text of every field
   * @throws CredentialUnreadableError when one of them doesn't belong where it was found
   */
  async open(
    ctx: TxCtx,
    place: SecretPlace,
    { keyVersion, secrets }: SealedSecrets,
  ): Promise<Record<string, string>> {
    const fields = Object.entries(secrets);
    if (fields.length === 0) return {};
    const key = await this.keys.getVersion(ctx, keyVersion);
    return Object.fromEntries(
      fields.map(([field, sealed]) => [field, this.box.open(key, { place, field }, sealed)]),
    );
  }
}
