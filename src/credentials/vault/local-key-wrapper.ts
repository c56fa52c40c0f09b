import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

import { Inject, Injectable } from '@nestjs/common';

import { deriveKey, ROOT_KEY } from '../../database/root-key.js';
import { CredentialUnreadableError } from '../../egress/credential.js';
import type { KeyContext, KeyWrapper, WrappedKey } from './key-wrapper.js';

const ALGORITHM = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const FINGERPRINT_BYTES = 8;

/** Wraps with a key derived from this host's root key: AES-256-GCM, stored as nonce, tag, ciphertext. */
@Injectable()
export class LocalKeyWrapper implements KeyWrapper {
  private readonly key: Buffer;
  private readonly rootKeyId: string;

  constructor(@Inject(ROOT_KEY) rootKey: Buffer) {
    this.key = deriveKey(rootKey, 'vault');
    // Derived for a purpose of its own, so that it says nothing of any key.
    const fingerprint = deriveKey(rootKey, 'vault root key id').subarray(0, FINGERPRINT_BYTES);
    this.rootKeyId = `local-${fingerprint.toString('hex')}`;
  }

  wrap(dataKey: Buffer, context: KeyContext): Promise<WrappedKey> {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(ALGORITHM, this.key, nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(bind(context));
    const ciphertext = Buffer.concat([cipher.update(dataKey), cipher.final()]);
    const wrappedKey = Buffer.concat([nonce, cipher.getAuthTag(), ciphertext]);
    return Promise.resolve({ rootKeyId: this.rootKeyId, wrappedKey });
  }

  unwrap({ rootKeyId, wrappedKey }: WrappedKey, context: KeyContext): Promise<Buffer> {
    return new Promise((resolve) => {
      if (rootKeyId !== this.rootKeyId) {
        throw new CredentialUnreadableError(
          `the tenant's key is under the root key ${rootKeyId}, and this host has ${this.rootKeyId}`,
        );
      }
      resolve(this.decrypt(wrappedKey, context));
    });
  }

  private decrypt(wrappedKey: Buffer, context: KeyContext): Buffer {
    try {
      const nonce = wrappedKey.subarray(0, NONCE_BYTES);
      const decipher = createDecipheriv(ALGORITHM, this.key, nonce, { authTagLength: TAG_BYTES });
      decipher.setAAD(bind(context));
      decipher.setAuthTag(wrappedKey.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
      const ciphertext = wrappedKey.subarray(NONCE_BYTES + TAG_BYTES);
      return Buffer.concat([decipher.update(ciphertext), decipher.final()]);
    } catch (error) {
      throw new CredentialUnreadableError(
        "the tenant's key can't be decrypted: it was moved or changed in the database",
        error,
      );
    }
  }
}

function bind({ tenantId, version }: KeyContext): Buffer {
  return Buffer.from(JSON.stringify(['stepwell.data_key.v1', tenantId, version]));
}
