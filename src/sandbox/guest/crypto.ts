import { hmac } from '@noble/hashes/hmac.js';
import { sha1 } from '@noble/hashes/legacy.js';
import { sha256, sha384, sha512 } from '@noble/hashes/sha2.js';

import { viewBytes } from './encoding.js';
import { DOMException } from './errors.js';
import type { CallRandom } from './random.js';
import { promiseOf } from './primordials.js';

/** The part of Web Crypto that signing and verifying webhooks and requests needs. */
export function createCrypto(random: CallRandom): object {
  return Object.freeze({
    subtle: Object.freeze({
      digest: later(digest),
      importKey: later(importKey),
      sign: later(sign),
      verify: later(verify),
    }),
    getRandomValues<T extends ArrayBufferView>(array: T): T {
      const bytes = toBytes(array);
      if (bytes.length > 65_536) {
        throw new DOMException('more than 65536 bytes were asked for', 'QuotaExceededError');
      }
      bytes.set(random.bytes(bytes.length));
      return array;
    },
    randomUUID(): string {
      const bytes = random.bytes(16);
      bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
      bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
      const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
      return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
    },
  });
}

/** Web Crypto answers with promises; the work itself is done at once, on the guest's CPU time. */
function later<A extends unknown[], R>(work: (...args: A) => R): (...args: A) => Promise<R> {
  return (...args) => promiseOf(() => work(...args));
}

/** A key that was imported for HMAC. Its bytes can't be read back. */
export class CryptoKey {
  readonly type = 'secret';
  readonly extractable = false;
  readonly algorithm: { name: 'HMAC'; hash: { name: string } };
  readonly usages: readonly ('sign' | 'verify')[];
  readonly #secret: Uint8Array;

  constructor(secret: Uint8Array, hash: string, usages: readonly ('sign' | 'verify')[]) {
    if (!(secret instanceof Uint8Array)) throw new TypeError('Illegal constructor');
    this.#secret = secret.slice();
    this.algorithm = { name: 'HMAC', hash: { name: hash } };
    this.usages = [...usages];
  }

  static mac(key: unknown, use: 'sign' | 'verify', data: Uint8Array): Uint8Array {
    if (!(key instanceof CryptoKey) || !key.usages.includes(use)) {
      throw new DOMException(`the key can't be used to ${use}`, 'InvalidAccessError');
    }
    return hmac(hashNamed(key.algorithm.hash), key.#secret, data);
  }
}

const HASHES: Record<string, typeof sha1 | typeof sha256 | typeof sha512> = {
  'SHA-1': sha1,
  'SHA-256': sha256,
  'SHA-384': sha384,
  'SHA-512': sha512,
};

function digest(algorithm: unknown, data: unknown): ArrayBuffer {
  return toBuffer(hashNamed(algorithm)(toBytes(data)));
}

function importKey(
  format: unknown,
  key: unknown,
  algorithm: unknown,
  extractable: unknown,
  usages: readonly ('sign' | 'verify')[],
): CryptoKey {
  if (format !== 'raw' || nameOf(algorithm) !== 'HMAC' || extractable === true) throw unsupported();
  if (!usages.every((usage) => ['sign', 'verify'].includes(usage))) throw unsupported();
  const hash = nameOf((algorithm as { hash?: unknown }).hash);
  hashNamed(hash);
  return new CryptoKey(toBytes(key), hash, usages);
}

function sign(algorithm: unknown, key: unknown, data: unknown): ArrayBuffer {
  if (nameOf(algorithm) !== 'HMAC') throw unsupported();
  return toBuffer(CryptoKey.mac(key, 'sign', toBytes(data)));
}

function verify(algorithm: unknown, key: unknown, signature: unknown, data: unknown): boolean {
  if (nameOf(algorithm) !== 'HMAC') throw unsupported();
  const expected = CryptoKey.mac(key, 'verify', toBytes(data));
  const given = toBytes(signature);
  if (given.length !== expected.length) return false;
  let difference = 0;
  for (let i = 0; i < expected.length; i++) difference |= (expected[i] ?? 0) ^ (given[i] ?? 0);
  return difference === 0;
}

function hashNamed(algorithm: unknown): typeof sha1 | typeof sha256 | typeof sha512 {
  const name = nameOf(algorithm);
  const hash = Object.hasOwn(HASHES, name) ? HASHES[name] : undefined;
  if (hash === undefined) throw unsupported();
  return hash;
}

function nameOf(algorithm: unknown): string {
  if (typeof algorithm === 'string') return algorithm.toUpperCase();
  const name = (algorithm as { name?: unknown } | null | undefined)?.name;
  return typeof name === 'string' ? name.toUpperCase() : '';
}

function toBytes(data: unknown): Uint8Array {
  const bytes = viewBytes(data);
  if (bytes === null) throw new TypeError('expected a buffer or a view');
  return bytes;
}

function toBuffer(bytes: Uint8Array): ArrayBuffer {
  return bytes.slice().buffer;
}

function unsupported(): DOMException {
  return new DOMException('this algorithm is not supported', 'NotSupportedError');
}
