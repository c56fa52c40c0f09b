import { createSecretKey, randomBytes } from 'node:crypto';

import { describe, expect, it } from '@jest/globals';

import { CredentialUnreadableError } from '../../egress/credential.js';
import { SecretBox, type DataKey, type SecretPlace } from './secret-box.js';

const DATA_KEY: DataKey = { tenantId: 't1', version: 1, key: createSecretKey(randomBytes(32)) };
const PLACE: SecretPlace = {
  provider: 'openai',
  type: 'api_key',
  credentialId: 'c1',
  ownerId: 'u1',
  hosts: ['api.openai.com'],
};
const AT = { place: PLACE, field: 'token' };
const SECRET = 'sk-1234567890 ünïcödé';

/** Every way to say that a ciphertext lies elsewhere than it was made for. */
const MOVES: [string, DataKey, typeof AT][] = [
  ['another tenant', { ...DATA_KEY, tenantId: 't2' }, AT],
  ['another key version', { ...DATA_KEY, version: 2 }, AT],
  ['another provider', DATA_KEY, { ...AT, place: { ...PLACE, provider: 'slack' } }],
  ['another type', DATA_KEY, { ...AT, place: { ...PLACE, type: 'basic' } }],
  ['another row', DATA_KEY, { ...AT, place: { ...PLACE, credentialId: 'c2' } }],
  ['another owner', DATA_KEY, { ...AT, place: { ...PLACE, ownerId: 'u2' } }],
  ['all of the tenant', DATA_KEY, { ...AT, place: { ...PLACE, ownerId: null } }],
  ['another host', DATA_KEY, { ...AT, place: { ...PLACE, hosts: ['evil.example'] } }],
  ['one more host', DATA_KEY, { ...AT, place: { ...PLACE, hosts: [...PLACE.hosts, 'x.example'] } }],
  ['another field', DATA_KEY, { ...AT, field: 'password' }],
  [
    'parts that join to the same text',
    DATA_KEY,
    { ...AT, place: { ...PLACE, provider: 'openaia', type: 'pi_key' } },
  ],
];

describe('SecretBox', () => {
  const box = new SecretBox();

  it('opens what it sealed, in its place', () => {
    expect(box.open(DATA_KEY, AT, box.seal(DATA_KEY, AT, SECRET))).toBe(SECRET);
  });

  it('never seals twice alike', () => {
    const sealed = Array.from({ length: 50 }, () => box.seal(DATA_KEY, AT, SECRET));
    expect(new Set(sealed.map(({ nonce }) => nonce)).size).toBe(50);
    expect(new Set(sealed.map(({ ciphertext }) => ciphertext)).size).toBe(50);
  });

  it.each(MOVES)('opens nothing that was moved to %s', (_, key, at) => {
    const sealed = box.seal(DATA_KEY, AT, SECRET);
    expect(() => box.open(key, at, sealed)).toThrow(CredentialUnreadableError);
  });

  it.each(MOVES)('would open it in %s, were the place not bound to it', (_, key, at) => {
    const unbound = new SecretBox(() => Buffer.alloc(0));
    expect(unbound.open(key, at, unbound.seal(DATA_KEY, AT, SECRET))).toBe(SECRET);
  });

  it.each(['nonce', 'ciphertext', 'tag'] as const)('opens nothing with another %s', (part) => {
    const sealed = box.seal(DATA_KEY, AT, SECRET);
    const bytes = Buffer.from(sealed[part], 'base64');
    bytes[0] = (bytes[0] ?? 0) ^ 1;
    const changed = { ...sealed, [part]: bytes.toString('base64') };
    expect(() => box.open(DATA_KEY, AT, changed)).toThrow(CredentialUnreadableError);
  });

  it('takes no tag that was cut short', () => {
    const sealed = box.seal(DATA_KEY, AT, SECRET);
    const tag = Buffer.from(sealed.tag, 'base64').subarray(0, 4).toString('base64');
    expect(() => box.open(DATA_KEY, AT, { ...sealed, tag })).toThrow(CredentialUnreadableError);
  });

  it('opens nothing with another key, and says no secret about it', () => {
    const other: DataKey = { ...DATA_KEY, key: createSecretKey(randomBytes(32)) };
    const sealed = box.seal(DATA_KEY, AT, SECRET);
    expect(() => box.open(other, AT, sealed)).toThrow(
      /^the field "token" of this credential can't be decrypted/,
    );
  });
});
