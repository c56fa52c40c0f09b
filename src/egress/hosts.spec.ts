import { describe, expect, it } from '@jest/globals';

import { isHostGranted, isPlainHttpGranted, resolveHostPermissions } from './hosts.js';

const NOTHING = { input: null, credential: null };

/** As the gateway sees a URL: parsed once by WHATWG rules. */
function isUrlGranted(hosts: string[], url: string): boolean {
  const parsed = URL.parse(url);
  return parsed !== null && isHostGranted(hosts, parsed.hostname);
}

describe('resolveHostPermissions', () => {
  it('keeps names and suffixes, in the form of a parsed URL', () => {
    expect(
      resolveHostPermissions(
        ['API.Example.com', '*.example.com', 'bücher.example'],
        NOTHING,
        false,
      ),
    ).toEqual(['api.example.com', '*.example.com', 'xn--bcher-kva.example']);
  });

  it.each([
    '',
    'https://a.example',
    'a.example:8443',
    'a.example/x',
    'a b',
    '*.',
    '*.*.example',
    '*.0.0.1',
    'a@b',
  ])('grants nothing for %j', (entry) => {
    expect(resolveHostPermissions([entry], NOTHING, true)).toEqual([]);
  });

  it('takes the host of an input field only for generic actions', () => {
    const sources = { input: { url: 'https://Any.Example:443/x?y' }, credential: null };
    expect(resolveHostPermissions([{ fromInput: 'url' }], sources, true)).toEqual(['any.example']);
    expect(resolveHostPermissions([{ fromInput: 'url' }], sources, false)).toEqual([]);
    const star = { input: { url: 'https://*/' }, credential: null };
    expect(resolveHostPermissions([{ fromInput: 'url' }], star, true)).toEqual([]);
    expect(resolveHostPermissions(['*'], sources, true)).toEqual(['*']);
    expect(resolveHostPermissions(['*'], sources, false)).toEqual([]);
  });

  it('reads a JSON Pointer, and notes that the caller asked for plain http', () => {
    const sources = { input: { target: { url: 'http://any.example/' } }, credential: null };
    expect(resolveHostPermissions([{ fromInput: '/target/url' }], sources, true)).toEqual([
      'http://any.example',
    ]);
  });

  it('takes the host of a credential field, given as URL or as name', () => {
    const resolve = (base_url: string): string[] =>
      resolveHostPermissions(
        [{ fromCredential: 'base_url' }],
        { input: null, credential: { base_url } },
        false,
      );
    expect(resolve('http://api.example:8080/v1')).toEqual(['api.example']);
    expect(resolve('api.example:8080')).toEqual(['api.example']);
    expect(resolve('[::1]:8080')).toEqual(['[::1]']);
    expect(resolve('ftp://api.example')).toEqual([]);
    expect(resolve('user@api.example')).toEqual([]);
    expect(resolve('')).toEqual([]);
    // WHATWG takes a star for a name; as an entry of a grant it would be a pattern.
    for (const star of ['https://*/', 'http://*', '*', 'https://*.example/v1', '*.example']) {
      expect([star, resolve(star)]).toEqual([star, []]);
    }
  });

  it('grants nothing for a field that is absent, inherited or no text', () => {
    for (const field of ['missing', 'toString', '__proto__', 'n']) {
      expect(
        resolveHostPermissions([{ fromInput: field }], { input: { n: 1 }, credential: null }, true),
      ).toEqual([]);
    }
  });
});

describe('isHostGranted', () => {
  it.each([
    'https://api.example.com.evil.test/',
    'https://evilapi.example.com/',
    'https://api.example.com@evil.test/',
    'https://evil.test\\@api.example.com/',
    'https://api.example.com./',
    'https://api.exаmple.com/',
    'https://xn--pi-8ka.example.com/',
    'https://example.com/',
    'https://x.api.example.com/',
  ])('S11: refuses %s', (url) => {
    expect(isUrlGranted(['api.example.com'], url)).toBe(false);
  });

  it.each([
    'https://API.example.com/',
    'https://api.exam\tple.com/',
    'https://api.\nexample.com/',
    'https://ａｐｉ.example.com/',
  ])('S11: %j is that very host once parsed', (url) => {
    expect(isUrlGranted(['api.example.com'], url)).toBe(true);
  });

  it('lets a suffix cover names below it and nothing else', () => {
    expect(isHostGranted(['*.example.com'], 'a.example.com')).toBe(true);
    expect(isHostGranted(['*.example.com'], 'a.b.example.com')).toBe(true);
    expect(isHostGranted(['*.example.com'], 'example.com')).toBe(false);
    expect(isHostGranted(['*.example.com'], 'evilexample.com')).toBe(false);
    expect(isHostGranted(['*.0.0.1'], '127.0.0.1')).toBe(false);
  });

  it('allows plain http for "*" and for what the caller typed', () => {
    expect(isPlainHttpGranted(['*'], 'a.example')).toBe(true);
    expect(isPlainHttpGranted(['http://a.example'], 'a.example')).toBe(true);
    expect(isHostGranted(['http://a.example'], 'a.example')).toBe(true);
    expect(isPlainHttpGranted(['a.example'], 'a.example')).toBe(false);
    expect(isPlainHttpGranted(['http://b.example', 'a.example'], 'a.example')).toBe(false);
  });
});
