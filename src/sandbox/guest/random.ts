import { hmac } from '@noble/hashes/hmac.js';
import { sha512 } from '@noble/hashes/sha2.js';

import { binaryToBytes } from './encoding.js';

/**
 * Random bytes without asking the host for each: HMAC-SHA-512 in the manner of SP 800-90A's
 * HMAC_DRBG, seeded once per call with 64 bytes from the child's operating system.
 */
export class CallRandom {
  #seed = '';
  #key: Uint8Array | null = null;
  #value = new Uint8Array(64).fill(1);

  seed(seed: string): void {
    this.#seed = seed;
    this.#key = null;
  }

  bytes(count: number): Uint8Array {
    // Lazy: most calls never ask, and the first hash of a fresh realm is slow.
    this.#key ??= hmac(sha512, new Uint8Array(64), binaryToBytes(this.#seed));
    const out = new Uint8Array(count);
    for (let offset = 0; offset < count; offset += 64) {
      this.#value = hmac(sha512, this.#key, this.#value);
      out.set(this.#value.subarray(0, count - offset), offset);
    }
    this.#key = hmac(sha512, this.#key, concat(this.#value, 0));
    this.#value = hmac(sha512, this.#key, this.#value);
    return out;
  }
}

function concat(bytes: Uint8Array, last: number): Uint8Array {
  const out = new Uint8Array(bytes.length + 1);
  out.set(bytes);
  out[bytes.length] = last;
  return out;
}
