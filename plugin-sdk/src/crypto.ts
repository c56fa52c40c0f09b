/** `ctx.crypto`: the few operations that request signing and unique ids need. */
export interface ActionCrypto {
  /** A random UUID, version 4 (RFC 9562). */
  randomUUID(): string;
  randomBytes(length: number): Uint8Array;
  /** SHA-256 of bytes, or of a text as UTF-8. */
  sha256(data: string | Uint8Array): Promise<Uint8Array>;
  /** HMAC (RFC 2104); the default hash is SHA-256. */
  hmac(message: HmacMessage): Promise<Uint8Array>;
  /** Compares two byte strings in time that depends on their lengths alone. */
  equal(a: Uint8Array, b: Uint8Array): boolean;
  /** Lower-case hexadecimal. */
  toHex(bytes: Uint8Array): string;
  /** Base64 with padding (RFC 4648, section 4). */
  toBase64(bytes: Uint8Array): string;
}

/** Hash functions of the isolate's Web Crypto. */
export type HashName = 'SHA-1' | 'SHA-256' | 'SHA-384' | 'SHA-512';

/** What `ctx.crypto.hmac` signs, and with what. */
export interface HmacMessage {
  key: string | Uint8Array;
  data: string | Uint8Array;
  hash?: HashName;
}

/** Thin over the isolate's Web Crypto. */
export const actionCrypto: ActionCrypto = {
  randomUUID: () => crypto.randomUUID(),
  randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
  sha256: async (data) => new Uint8Array(await crypto.subtle.digest('SHA-256', toBytes(data))),
  async hmac({ key, data, hash = 'SHA-256' }) {
    const imported = await crypto.subtle.importKey(
      'raw',
      toBytes(key),
      { name: 'HMAC', hash },
      false,
      ['sign'],
    );
    return new Uint8Array(await crypto.subtle.sign('HMAC', imported, toBytes(data)));
  },
  equal(a, b) {
    let difference = a.length ^ b.length;
    for (const [i, byte] of a.entries()) difference |= byte ^ (b[i] ?? 0);
    return difference === 0;
  },
  toHex: (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(''),
  toBase64: (bytes) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join('')),
};

function toBytes(data: string | Uint8Array): Uint8Array {
  return typeof data === 'string' ? new TextEncoder().encode(data) : data;
}
