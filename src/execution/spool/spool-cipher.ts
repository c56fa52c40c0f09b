import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';

import { deriveKey } from '../../database/root-key.js';

/** Random; each file has a key of its own, made with it. */
export const FILE_ID_BYTES = 16;
/** Tells at once that a file was sealed under another root key. */
export const KEY_CHECK_BYTES = 16;

const ALGORITHM = 'aes-256-gcm';
/** 96 bits, as NIST SP 800-38D recommends for random nonces: one file holds far fewer records than 2^32. */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const PURPOSE = 'spool';

/** What sealing adds to the bytes of a text. */
export const SEAL_BYTES = NONCE_BYTES + TAG_BYTES;

/** Where a record stands. It is authenticated with it: none can be moved, doubled or put into another file. */
export interface RecordPlace {
  /** Of its first byte in the file. */
  offset: number;
}

/** Makes the key of each spool file from the root key. */
export class SpoolKeys {
  private readonly key: Buffer;

  constructor(rootKey: Buffer) {
    this.key = deriveKey(rootKey, PURPOSE);
  }

  ofFile(fileId: Buffer): SpoolBox {
    return new SpoolBox(fileId, Buffer.from(hkdfSync('sha256', this.key, fileId, 'file', 32)));
  }
}

/** Seals the records of one file with AES-256-GCM (NIST SP 800-38D). */
export class SpoolBox {
  readonly keyCheck: Buffer;

  constructor(
    private readonly fileId: Buffer,
    private readonly key: Buffer,
    /** Replaced only by the test that shows what it is good for. */
    private readonly bind: typeof associatedData = associatedData,
  ) {
    const check = createHmac('sha256', key).update('key check').digest();
    this.keyCheck = check.subarray(0, KEY_CHECK_BYTES);
  }

  seal(place: RecordPlace, text: Buffer): Buffer {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(ALGORITHM, this.key, nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(this.bind(this.fileId, place));
    const ciphertext = Buffer.concat([cipher.update(text), cipher.final()]);
    return Buffer.concat([nonce, cipher.getAuthTag(), ciphertext]);
  }

  /** Null when it was sealed for another place or with another key, or was changed. */
  open(place: RecordPlace, sealed: Buffer): Buffer | null {
    if (sealed.length < SEAL_BYTES) return null;
    const nonce = sealed.subarray(0, NONCE_BYTES);
    const decipher = createDecipheriv(ALGORITHM, this.key, nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(this.bind(this.fileId, place));
    decipher.setAuthTag(sealed.subarray(NONCE_BYTES, SEAL_BYTES));
    const text = decipher.update(sealed.subarray(SEAL_BYTES));
    try {
      return Buffer.concat([text, decipher.final()]);
    } catch {
      return null; // the tag doesn't fit: nothing more is told
    }
  }
}

export function associatedData(fileId: Buffer, { offset }: RecordPlace): Buffer {
  return Buffer.from(JSON.stringify(['stepwell.spool.v1', fileId.toString('hex'), offset]));
}
