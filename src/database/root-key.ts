import { hkdfSync, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { StartupError } from '../common/errors.js';
import type { Config } from '../config/config.js';

/**
 * The 32-byte root key of the installation, from which every other key comes. With the embedded
 * database it is a file under the home, made at the first start; a KMS will be another source.
 * @throws StartupError when data exists but its key file doesn't, or the file holds no key.
 */
export function readRootKey(config: Pick<Config, 'encryptionKey' | 'home'>): Buffer {
  if (config.encryptionKey) return config.encryptionKey;
  const path = join(config.home, 'root.key');
  if (!existsSync(path)) {
    if (existsSync(join(config.home, 'postgres', 'data'))) {
      throw new StartupError(
        `the encryption key ${path} is missing; restore it from your backup, or set STEPWELL_ENCRYPTION_KEY`,
      );
    }
    mkdirSync(config.home, { recursive: true, mode: 0o700 });
    try {
      writeFileSync(path, `${randomBytes(32).toString('base64')}\n`, { mode: 0o600, flag: 'wx' });
    } catch (error) {
      // Another host of this home made it in the same moment.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
  const key = Buffer.from(readFileSync(path, 'utf8').trim(), 'base64');
  if (key.length !== 32) {
    throw new StartupError(
      `${path} does not hold a key of 32 bytes in base64; restore it from your backup`,
    );
  }
  return key;
}

/** Where modules ask for the root key, to derive a key of their own from it. */
export const ROOT_KEY = Symbol('RootKey');

/** A key for one purpose (HKDF-SHA-256, RFC 5869): 32 bytes. */
export function deriveKey(rootKey: Buffer, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', rootKey, 'stepwell', purpose, 32));
}
