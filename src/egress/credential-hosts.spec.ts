import { describe, expect, it } from '@jest/globals';

import { parseEgressAllow } from './allow-list.js';
import { isCredentialHost, isWireTrusted } from './credential-hosts.js';
import type { Route } from './destination.js';

describe('isCredentialHost', () => {
  it.each([
    ['api.example.com', 'https://api.example.com/v1'],
    ['API.example.com', 'https://api.example.com:443/'],
    ['*.example.com', 'https://a.b.example.com/'],
    ['https://api.example.com:8443', 'https://api.example.com:8443/v1'],
    ['http://127.0.0.1:9000', 'http://127.0.0.1:9000/v1'],
    ['http://[::1]:9000', 'http://[::1]:9000/'],
  ])('%s holds %s', (entry, url) => {
    expect(isCredentialHost(['other.example', entry], new URL(url))).toBe(true);
  });

  it.each([
    ['api.example.com', 'https://api.example.com:8443/'],
    ['api.example.com', 'http://api.example.com/'],
    ['api.example.com', 'http://api.example.com:443/'],
    ['api.example.com', 'https://api.example.com.evil.test/'],
    ['api.example.com', 'https://api.example.com@evil.test/'],
    ['api.example.com', 'https://api.example.com./'],
    ['*.example.com', 'https://example.com/'],
    ['*.example.com', 'https://evilexample.com/'],
    ['*.example.com', 'http://a.example.com/'],
    ['https://api.example.com:8443', 'https://api.example.com/'],
    ['https://api.example.com', 'http://api.example.com/'],
    ['http://api.example.com', 'https://api.example.com/'],
    ['http://127.0.0.1:9000', 'http://127.0.0.1:9001/'],
    ['http://127.0.0.1:9000', 'http://localhost:9000/'],
    ['*', 'https://api.example.com/'],
    ['*.', 'https://api.example.com/'],
    ['api.example.com:8443', 'https://api.example.com:8443/'],
    ['ftp://api.example.com', 'https://api.example.com/'],
    ['://', 'https://api.example.com/'],
    ['', 'https://api.example.com/'],
  ])('%s does not hold %s', (entry, url) => {
    expect(isCredentialHost([entry], new URL(url))).toBe(false);
  });
});

describe('isWireTrusted', () => {
  it.each<[string, string, Route, boolean]>([
    ['', 'https://api.example/', 'open', true],
    ['', 'http://api.example/', 'open', false],
    ['api.example', 'http://api.example/', 'open', true],
    ['api.example:81', 'http://api.example/', 'open', false],
    ['10.0.0.0/8', 'http://api.example/', 'open', false],
    ['10.0.0.0/8', 'http://api.example:8000/', 'listed', true],
    ['127.0.0.1:9000', 'http://127.0.0.1:9000/', 'open', true],
    ['127.0.0.1:9000', 'http://127.0.0.1:9001/', 'open', false],
  ])('with "%s" listed, %s by route %s: %s', (allow, url, route, expected) => {
    expect(isWireTrusted(new URL(url), parseEgressAllow(allow), route)).toBe(expected);
  });
});
