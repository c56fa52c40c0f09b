import { createCipheriv, createDecipheriv, randomBytes, type KeyObject } from 'node:crypto';

import { CredentialUnreadableError } from '../../egress/credential.js';

/** A tenant's data key in clear: never stored, never logged. */
export interface DataKey {
  tenantId: string;
  version: number;
  key: KeyObject;
}

/**
 * The credential that a secret belongs to. All of it is authenticated together with the ciphertext:
 * who writes to the database can move a secret to no other row, owner or destination.
 */
export interface SecretPlace {
  provider: string;
  type: string;
  credentialId: string;
  /** Null when it is shared in the tenant. */
  ownerId: string | null;
  hosts: readonly string[];
}

/** As it is stored; binary parts in base64. */
export interface SealedSecret {
  nonce: string;
  ciphertext: string;
  tag: string;
}

const ALGORITHM = 'aes-256-gcm';
/** 96 bits, as NIST SP 800-38D recommends for random nonces: a tenant's key seals far fewer than 2^32. */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Seals single fields with AES-256-GCM (NIST SP 800-38D). */
export class SecretBox {
  /** @param bind replaced only by the test that shows what it is good for */
  constructor(private readonly bind: typeof associatedData = associatedData) {}

  seal(dataKey: DataKey, at: { place: SecretPlace; field: string }, text: string): SealedSecret {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(ALGORITHM, dataKey.key, nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(this.bind(dataKey, at));
    const ciphertext = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
    return {
      nonce: nonce.toString('base64'),
      ciphertext: ciphertext.toString('base64'),
      tag: cipher.getAuthTag().toString('base64'),
    };
  }

  /** @throws CredentialUnreadableError when it was sealed with another key or for another place, or was changed. */
  open(dataKey: DataKey, at: { place: SecretPlace; field: string }, sealed: SealedSecret): string {
    try {
      const nonce = Buffer.from(sealed.nonce, 'base64');
      const decipher = createDecipheriv(ALGORITHM, dataKey.key, nonce, {
        authTagLength: TAG_BYTES,
      });
      decipher.setAAD(this.bind(dataKey, at));
      decipher.setAuthTag(Buffer.from(sealed.tag, 'base64'));
      const ciphertext = Buffer.from(sealed.ciphertext, 'base64');
      return Buffer.concat([decipher.update(ciphertext), decipher.final()]).toString('utf8');
    } catch (error) {
      throw new CredentialUnreadableError(
        `the field "${at.field}" of this credential can't be decrypted: it was moved or changed in the database`,
        error,
      );
    }
  }
}

/** A JSON array of strings and numbers: no two different places give the same bytes. */
export function associatedData(
  { tenantId, version }: Pick<DataKey, 'tenantId' | 'version'>,
  { place, field }: { place: SecretPlace; field: string },
): Buffer {
  const { provider, type, credentialId, ownerId, hosts } = place;
  const parts = [tenantId, provider, type, credentialId, ownerId, hosts, field, version];
  return Buffer.from(JSON.stringify(['stepwell.secret.v1', ...parts]));
}
