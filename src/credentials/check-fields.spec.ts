import { describe, expect, it } from '@jest/globals';
import type { CredentialManifest } from '@stepwell/plugin-sdk';

import { checkFields } from './check-fields.js';
import { resolveCredentialHosts } from './credential-hosts.js';

const TYPE: CredentialManifest = {
  id: 'api',
  kind: 'custom',
  fields: [
    { name: 'api_key', secret: true, required: true },
    { name: 'signing', secret: true, required: false },
    { name: 'user', secret: false, required: false },
    {
      name: 'base_url',
      secret: false,
      required: false,
      default: 'https://api.example.com/v1',
      format: 'url',
    },
  ],
  hosts: [{ fromField: 'base_url' }],
  inject: {
    headers: { authorization: 'Bearer {{ secret.api_key }}' },
    basic: { username: '{{credential.user}}', password: '' },
  },
};

const problemsOf = (given: Record<string, unknown>): Record<string, string> =>
  Object.fromEntries(
    checkFields(TYPE, given).problems.map(({ pointer, detail }) => [pointer, detail]),
  );

describe('checkFields', () => {
  it('parts readable fields from secret ones and stores defaults', () => {
    expect(checkFields(TYPE, { api_key: 'k', user: 'u' })).toEqual({
      fields: { user: 'u', base_url: 'https://api.example.com/v1' },
      secrets: { api_key: 'k' },
      problems: [],
    });
  });

  it('tells every problem at once and never repeats a value', () => {
    const given = { api_key: 'val\r\nue', signing: 7, base_url: 'ftp://value', other: 'value' };
    const problems = problemsOf(given);
    expect(problems).toEqual({
      '/credentials/other': expect.stringContaining('is not a field of "api"'),
      '/credentials/api_key': expect.stringContaining('one line'),
      '/credentials/signing': 'must be text',
      '/credentials/base_url': expect.stringContaining('absolute URL'),
    });
    expect(Object.values(problems).join()).not.toContain('value');
  });

  it.each([
    ['missing', {}, 'is required'],
    ['empty', { api_key: '' }, 'must not be empty'],
    ['too long', { api_key: 'é'.repeat(8193) }, 'must not be longer than 16 KiB'],
    ['no text', { api_key: null }, 'must be text'],
    ['with NUL', { api_key: 'a\0b' }, 'must not hold NUL characters'],
    ['no header value', { api_key: 'a\u200bb' }, expect.stringContaining('HTTP header')],
  ])('refuses a secret that is %s', (_, given, detail) => {
    expect(problemsOf(given)).toEqual({ '/credentials/api_key': detail });
  });

  it('takes lines in a secret that no header holds', () => {
    expect(problemsOf({ api_key: 'k', signing: '-----BEGIN\nKEY-----\n' })).toEqual({});
  });

  it('refuses control characters in a user name, and a password in a URL', () => {
    expect(problemsOf({ api_key: 'k', user: 'a\nb' })).toEqual({
      '/credentials/user': expect.stringContaining('one line'),
    });
    expect(problemsOf({ api_key: 'k', base_url: 'https://u:p@example.com' })).toEqual({
      '/credentials/base_url': 'must not hold a user name or password',
    });
  });

  it.each(['https://*/v1', 'https://*.example.com/v1', 'http://*:8080'])(
    'refuses %s: hosts are one by one what the owner says',
    (base_url) => {
      expect(problemsOf({ api_key: 'k', base_url })).toEqual({
        '/credentials/base_url': expect.stringContaining('absolute URL'),
      });
      const fields = TYPE.fields.map((field) =>
        field.name === 'base_url' ? { ...field, default: base_url } : field,
      );
      expect(checkFields({ ...TYPE, fields }, { api_key: 'k' }).problems).toHaveLength(1);
      expect(resolveCredentialHosts(TYPE, { base_url })).toEqual([]);
    },
  );

  it('takes no more than 64 KiB in all', () => {
    const fields = Array.from({ length: 5 }, (_, i) => ({
      name: `key_${String(i)}`,
      secret: true,
      required: true,
    }));
    const given = (bytes: number): Record<string, string> =>
      Object.fromEntries(fields.map(({ name }) => [name, 'k'.repeat(bytes)]));
    const type = { ...TYPE, fields, hosts: ['api.example.com'] };
    expect(checkFields(type, given(13_000)).problems).toEqual([]);
    expect(checkFields(type, given(14_000)).problems).toEqual([
      { pointer: '/credentials', detail: 'must not be larger than 64 KiB in all' },
    ]);
  });

  it('reads own fields alone', () => {
    const prototype = Object.create({ api_key: 'inherited' }) as Record<string, unknown>;
    expect(problemsOf(prototype)).toEqual({ '/credentials/api_key': 'is required' });
  });

  it('asks for the field that says where the credential may go', () => {
    const fields = TYPE.fields.filter(({ name }) => name !== 'base_url');
    fields.push({ name: 'base_url', secret: false, required: false });
    expect(checkFields({ ...TYPE, fields }, { api_key: 'k' }).problems).toEqual([
      {
        pointer: '/credentials/base_url',
        detail: 'is required: it says where the credential may be sent',
      },
    ]);
    const withName = { ...TYPE, fields, hosts: ['api.example.com', ...TYPE.hosts] };
    expect(checkFields(withName, { api_key: 'k' }).problems).toEqual([]);
  });
});

describe('resolveCredentialHosts', () => {
  it.each([
    ['https://api.example.com/v1', 'api.example.com'],
    ['https://API.example.com:443', 'api.example.com'],
    ['https://api.example.com:8443/x', 'https://api.example.com:8443'],
    ['http://api.example.com', 'http://api.example.com'],
    ['http://127.0.0.1:9000/v1', 'http://127.0.0.1:9000'],
    ['https://bücher.example', 'xn--bcher-kva.example'],
  ])('makes of %s the host %s', (url, host) => {
    expect(resolveCredentialHosts(TYPE, { base_url: url })).toEqual([host]);
  });

  it('keeps names and drops what stands twice', () => {
    const hosts = ['*.example.com', 'API.example.com', { fromField: 'base_url' }];
    expect(resolveCredentialHosts({ hosts }, { base_url: 'https://api.example.com' })).toEqual([
      '*.example.com',
      'api.example.com',
    ]);
  });
});
