import { describe, expect, it } from '@jest/globals';

import { actionCrypto } from './crypto.js';

describe('ctx.crypto', () => {
  it('hashes as FIPS 180-4 says for "abc"', async () => {
    expect(actionCrypto.toHex(await actionCrypto.sha256('abc'))).toBe(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    );
  });

  it('signs as test case 2 of RFC 4231 says', async () => {
    const mac = await actionCrypto.hmac({ key: 'Jefe', data: 'what do ya want for nothing?' });
    expect(actionCrypto.toHex(mac)).toBe(
      '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
    );
  });

  it('compares bytes of any lengths', () => {
    const bytes = (...values: number[]): Uint8Array => new Uint8Array(values);
    expect(actionCrypto.equal(bytes(1, 2), bytes(1, 2))).toBe(true);
    expect(actionCrypto.equal(bytes(1, 2), bytes(1, 3))).toBe(false);
    expect(actionCrypto.equal(bytes(1, 0), bytes(1))).toBe(false);
    expect(actionCrypto.equal(bytes(1), bytes(1, 0))).toBe(false);
  });

  it('writes base64 and makes as many random bytes as asked', () => {
    expect(actionCrypto.toBase64(new Uint8Array([0, 255, 254]))).toBe('AP/+');
    expect(actionCrypto.randomBytes(24)).toHaveLength(24);
    expect(actionCrypto.randomUUID()).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4/);
  });
});
