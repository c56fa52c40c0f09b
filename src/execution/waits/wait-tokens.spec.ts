import { createHmac, randomBytes, randomUUID } from 'node:crypto';

import { describe, expect, it } from '@jest/globals';
import { HttpAdapterHost } from '@nestjs/core';

import { deriveKey } from '../../database/root-key.js';
import { PublicUrl } from './public-url.js';
import { WAIT_KEY_PURPOSE, WaitTokens, type WaitPlace } from './wait-tokens.js';

const ROOT_KEY = randomBytes(32);
const PUBLIC_URL = new PublicUrl(
  { publicUrl: 'https://flows.example/stepwell', host: '127.0.0.1', port: 0 },
  new HttpAdapterHost(),
);

const tokens = new WaitTokens(ROOT_KEY, PUBLIC_URL);

function placeOf(rest: Partial<WaitPlace> = {}): WaitPlace {
  return {
    tenantId: randomUUID(),
    executionId: randomUUID(),
    stepId: 'approve',
    iteration: 0,
    ...rest,
  };
}

describe('the token of a wait', () => {
  it('names its place, and is the same each time', () => {
    for (const place of [
      placeOf(),
      placeOf({ stepId: 'x', iteration: 9_999 }),
      placeOf({ stepId: `_${'y'.repeat(63)}`, iteration: 2 ** 32 - 1 }),
      placeOf({ stepId: 'naïve-id' }),
    ]) {
      const token = tokens.tokenOf(place);
      expect(tokens.read(token)).toEqual(place);
      expect(new WaitTokens(ROOT_KEY, PUBLIC_URL).tokenOf(place)).toBe(token);
      expect(token).toMatch(/^[\w-]{70,160}$/);
    }
  });

  it('differs with each part of its place', () => {
    const place = placeOf();
    const others = [
      placeOf({ ...place, tenantId: randomUUID() }),
      placeOf({ ...place, executionId: randomUUID() }),
      placeOf({ ...place, stepId: 'approvf' }),
      placeOf({ ...place, iteration: 1 }),
    ];
    const all = [place, ...others].map((one) => tokens.tokenOf(one));
    expect(new Set(all).size).toBe(all.length);
  });

  it('is refused with any bit changed, and anything less or more', () => {
    const token = tokens.tokenOf(placeOf());
    const bytes = Buffer.from(token, 'base64url');
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = Buffer.from(bytes);
      changed.writeUInt8((changed[bit >> 3] ?? 0) ^ (1 << (bit & 7)), bit >> 3);
      expect([bit, tokens.read(changed.toString('base64url'))]).toEqual([bit, null]);
    }
    for (let length = 0; length < token.length; length++) {
      expect(tokens.read(token.slice(0, length))).toBeNull();
    }
    for (const more of ['A', 'AAAA', token]) {
      expect(tokens.read(token + more)).toBeNull();
      expect(tokens.read(more + token)).toBeNull();
    }
  });

  it('is written in one way only', () => {
    // With one byte left over, four bits of the last character mean nothing.
    const token = tokens.tokenOf(placeOf({ stepId: 'ab' }));
    expect(Buffer.from(token, 'base64url').length % 3).toBe(1);
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const same = Array.from(alphabet)
      .map((last) => token.slice(0, -1) + last)
      .filter((one) => Buffer.from(one, 'base64url').equals(Buffer.from(token, 'base64url')));
    // Or it would prove nothing.
    expect(same.length).toBeGreaterThan(1);
    expect(same.filter((one) => tokens.read(one))).toEqual([token]);
    for (const odd of [`${token}=`, `${token}==`, ` ${token}`, `${token}\n`, `${token}!`]) {
      expect(tokens.read(odd)).toBeNull();
    }
    const many = Array.from({ length: 20 }, () => tokens.tokenOf(placeOf()));
    const spelled = many.find((one) => /[-_]/.test(one)) ?? '';
    expect(tokens.read(spelled)).not.toBeNull();
    expect(tokens.read(spelled.replaceAll('-', '+').replaceAll('_', '/'))).toBeNull();
  });

  it('needs the key of this installation, and the one for this purpose', () => {
    const place = placeOf();
    const other = new WaitTokens(randomBytes(32), PUBLIC_URL);
    expect(tokens.read(other.tokenOf(place))).toBeNull();
    const body = Buffer.from(tokens.tokenOf(place), 'base64url').subarray(0, -16);
    const signedFor = (purpose: string): string => {
      const key = deriveKey(ROOT_KEY, purpose);
      const tag = createHmac('sha256', key).update(body).digest().subarray(0, 16);
      return Buffer.concat([body, tag]).toString('base64url');
    };
    expect(tokens.read(signedFor('session tokens'))).toBeNull();
    expect(tokens.read(signedFor(WAIT_KEY_PURPOSE))).toEqual(place);
  });

  it('stands in a link that begins with where others reach the host', () => {
    const place = placeOf();
    expect(tokens.urlOf(place)).toBe(
      `https://flows.example/stepwell/api/waits/${tokens.tokenOf(place)}`,
    );
  });
});

describe('where others reach the host', () => {
  const reached = (host: string, listensOn: number | null): string => {
    const adapterHost = new HttpAdapterHost();
    const address = listensOn === null ? null : { address: host, family: 'x', port: listensOn };
    const server = { address: () => address };
    adapterHost.httpAdapter = {
      getHttpServer: () => server,
    } as unknown as HttpAdapterHost['httpAdapter'];
    return new PublicUrl({ publicUrl: null, host, port: 5001 }, adapterHost).base;
  };

  it('is where it listens, unless the operator says more', () => {
    expect(reached('127.0.0.1', 40_123)).toBe('http://127.0.0.1:40123');
    expect(reached('stepwell.internal', 80)).toBe('http://stepwell.internal:80');
    expect(reached('::1', 5001)).toBe('http://[::1]:5001');
  });

  it('is this machine when it listens on all addresses', () => {
    expect(reached('0.0.0.0', 5001)).toBe('http://127.0.0.1:5001');
    expect(reached('::', 5001)).toBe('http://127.0.0.1:5001');
  });

  it('is what the settings say before it listens', () => {
    expect(reached('127.0.0.1', null)).toBe('http://127.0.0.1:5001');
  });
});
