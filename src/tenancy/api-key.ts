import { createHash, randomBytes } from 'node:crypto';

export interface NewApiKey {
  /** Shown once. */
  key: string;
  prefix: string;
  hash: string;
}

/** `sw_` and 256 random bits: no slow hash is needed to keep it from being guessed. */
export function makeApiKey(): NewApiKey {
  const key = `sw_${randomBytes(32).toString('base64url')}`;
  return { key, prefix: key.slice(0, 10), hash: hashApiKey(key) };
}

export function hashApiKey(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}
