import { describe, expect, it } from '@jest/globals';

import { defineAction } from './define-action.js';
import { defineCredential } from './define-credential.js';
import { definePlugin } from './define-plugin.js';
import type { KernelContext } from './runtime.js';

const anything = { type: 'object' } as const;

const valid = {
  id: 'vendor',
  kind: 'api_key',
  hosts: [{ fromField: 'base_url' }],
  fields: {
    api_key: { title: 'Secret key' },
    base_url: { default: 'https://api.example.com/v1', format: 'url' },
    account: {},
  },
  inject: { headers: { authorization: 'Bearer {{secret.api_key}}' } },
} as const;

function define(change: object, from: object = valid): () => unknown {
  return () => Reflect.apply(defineCredential, null, [{ ...from, ...change }]) as unknown;
}

describe('defineCredential', () => {
  it("gives its part of the manifest: the kind's own fields first, defaults worked in", () => {
    const test = { method: 'GET', url: '{{credential.base_url}}/models' } as const;
    const credential = defineCredential({ ...valid, title: 'Vendor', test });
    expect(credential).toEqual({
      id: 'vendor',
      title: 'Vendor',
      kind: 'api_key',
      fields: [
        { name: 'api_key', title: 'Secret key', secret: true, required: true },
        {
          name: 'base_url',
          secret: false,
          required: false,
          default: 'https://api.example.com/v1',
          format: 'url',
        },
        { name: 'account', secret: false, required: true },
      ],
      hosts: [{ fromField: 'base_url' }],
      inject: { headers: { authorization: 'Bearer {{secret.api_key}}' } },
      test,
    });
    expect(Object.isFrozen(credential)).toBe(true);
    expect(Object.isFrozen(credential.fields[0])).toBe(true);
    expect(Object.isFrozen(credential.inject.headers)).toBe(true);
  });

  it.each([
    ['bearer', ['token'], { headers: { authorization: 'Bearer {{secret.token}}' } }],
    [
      'basic',
      ['username', 'password'],
      { basic: { username: '{{credential.username}}', password: '{{secret.password}}' } },
    ],
  ] as const)('knows how %s is usually placed', (kind, names, inject) => {
    const credential = defineCredential({ id: 'x', kind, hosts: ['api.example.com'] });
    expect(credential.fields.map(({ name }) => name)).toEqual(names);
    expect(credential.inject).toEqual(inject);
    const other = { query: { key: `{{secret.${names.at(-1) ?? ''}}}` } };
    const changed = defineCredential({ id: 'x', kind, hosts: ['api.example.com'], inject: other });
    expect(changed.inject).toEqual(other);
  });

  it('takes a kind without secrets, with or without hosts', () => {
    const fields = { base_url: { format: 'url' } } as const;
    const test = { method: 'GET', url: '{{credential.base_url}}/health' } as const;
    expect(defineCredential({ id: 'x', kind: 'none', fields, test })).toMatchObject({
      hosts: [],
      inject: {},
    });
    const hosts = [{ fromField: 'base_url' }] as const;
    expect(defineCredential({ id: 'x', kind: 'none', fields, hosts }).hosts).toEqual(hosts);
  });

  it('keeps nothing of the author that may change later', () => {
    const headers: Record<string, string> = { 'x-key': '{{secret.api_key}}' };
    const credential = defineCredential({ ...valid, inject: { headers } });
    headers['x-more'] = '{{secret.api_key}}';
    expect(credential.inject).toEqual({ headers: { 'x-key': '{{secret.api_key}}' } });
  });

  it('names every problem at once', () => {
    const wrong = {
      id: 'My-Vendor',
      kind: 'api_key',
      name: 'x',
      hosts: [],
      fields: { Base: {}, region: { secret: true, default: 'eu' } },
      inject: { headers: { 'x-key': '{{secret.key}}' } },
    };
    expect(define({}, wrong)).toThrow(TypeError);
    expect(define({}, wrong)).toThrow(
      /`name` isn't known.*`id` must be 1 to 64.*`fields\.Base` must have a name.*`fields\.region` is secret: leave its default out.*`hosts` is missing.*`inject\.headers\.x-key` names \{\{secret\.key\}\}, but there is no field "key"/s,
    );
  });

  it.each<[string, object, RegExp]>([
    ['no kind', { kind: 'oauth9' }, /`kind` must be one of "none", "api_key"/],
    ['a field that is none', { fields: { a: 'x' } }, /`fields\.a` must be an object/],
    ['an unknown fact of a field', { fields: { a: { hidden: 1 } } }, /`fields\.a` has "hidden"/],
    ['a name of a prototype', { fields: { constructor: {} } }, /`fields\.constructor` must have/],
    ['a secret that is open', { fields: { api_key: { secret: false } } }, /belongs to kind/],
    ['a field of the kind with a default', { fields: { api_key: { default: 'x' } } }, /only its t/],
    ['a default that is required', { fields: { a: { default: 'x', required: true } } }, /never re/],
    ['a default that is no URL', { fields: { a: { default: 'x', format: 'url' } } }, /such as "h/],
    [
      'a default that is a template',
      { fields: { a: { default: '{{secret.api_key}}' } } },
      /without/,
    ],
    ['an unknown format', { fields: { a: { format: 'email' } } }, /format that isn't known/],
    ['hosts that are no list', { hosts: 'api.example.com' }, /`hosts` must be a list/],
    ['a URL as host', { hosts: ['https://api.example.com'] }, /`hosts\[0\]` must be a name/],
    ['a port', { hosts: ['api.example.com:8443'] }, /`hosts\[0\]` must be a name/],
    ['any host', { hosts: ['*'] }, /`hosts\[0\]` must be a name/],
    ['the host of no field', { hosts: [{ fromField: 'nope' }] }, /must name a field/],
    ['the host of a plain field', { hosts: [{ fromField: 'account' }] }, /must name a field/],
    ['the host of a secret', { hosts: [{ fromField: 'api_key' }] }, /must name a field/],
    [
      'the host of a secret URL',
      { fields: { hook: { secret: true, format: 'url' } }, hosts: [{ fromField: 'hook' }] },
      /must name a field that has format: "url" and isn't secret/,
    ],
    ['the host of an input', { hosts: [{ fromInput: 'url' }] }, /must be a host name or/],
    ['no inject', { inject: undefined }, /`inject` is missing.*Bearer \{\{secret\.api_key\}\}/],
    ['no secret placed', { inject: { headers: { a: 'b' } } }, /`inject` places no secret/],
    ['an unknown place', { inject: { cookie: '{{secret.api_key}}' } }, /`inject\.cookie` isn't/],
    [
      'a secret as readable',
      { inject: { query: { k: '{{credential.api_key}}' } } },
      /field is secret: write \{\{secret\.api_key\}\}/,
    ],
    [
      'a readable field as secret',
      { inject: { query: { k: '{{secret.account}}' } } },
      /isn't secret: write \{\{credential\.account\}\}/,
    ],
    [
      'templates in inject',
      { inject: { headers: { a: '{{ upper(secret.api_key) }} {{secret.api_key}}' } } },
      /`inject\.headers\.a` holds other \{\{\.\.\.\}\}/,
    ],
    [
      'spaces in a placeholder',
      { inject: { headers: { a: '{{ secret.api_key }}' } } },
      /without spaces.*places no secret/,
    ],
    [
      'a header that is none',
      { inject: { headers: { 'x key': '{{secret.api_key}}' } } },
      /is no header name/,
    ],
    [
      'a transport header',
      { inject: { headers: { Host: '{{secret.api_key}}' } } },
      /`inject\.headers\.Host` belongs to the transport/,
    ],
    [
      'a header of proxies',
      { inject: { headers: { 'Proxy-Authorization': '{{secret.api_key}}' } } },
      /belongs to the transport/,
    ],
    [
      'a header twice',
      { inject: { headers: { 'X-A': '{{secret.api_key}}', 'x-a': '{{secret.api_key}}' } } },
      /is there twice/,
    ],
    [
      'a line break',
      { inject: { headers: { a: '{{secret.api_key}}\r\nx: y' } } },
      /must hold no line breaks/,
    ],
    [
      'what no header may hold',
      { inject: { headers: { a: '{{secret.api_key}}€' } } },
      /`inject\.headers\.a` must hold no line breaks, control characters or/,
    ],
    [
      'a control character in a password',
      { inject: { basic: { username: 'a', password: '{{secret.api_key}}\u007f' } } },
      /`inject\.basic\.password` must hold no line breaks or/,
    ],
    [
      'a transport header in the test',
      { test: { method: 'GET', url: '{{credential.base_url}}', headers: { Host: 'a' } } },
      /`test\.headers\.Host` belongs to the transport/,
    ],
    [
      'a line break in the test',
      { test: { method: 'GET', url: '{{credential.base_url}}', headers: { a: 'b\nc: d' } } },
      /`test\.headers\.a` must hold no line breaks/,
    ],
    ['a host that is nothing', { hosts: [null] }, /`hosts\[0\]` must be a host name or/],
    ['headers that are nothing', { inject: { headers: null } }, /`inject\.headers` must be an obj/],
    ['a query that is a text', { inject: { query: 'k' } }, /`inject\.query` must be an object/],
    ['basic that is nothing', { inject: { basic: null } }, /`inject\.basic` must be an object/],
    ['a signature that is none', { inject: { sign: null } }, /`inject\.sign` must be an object/],
    ['a test that is nothing', { test: null }, /`test` must be an object/],
    [
      'an expectation of nothing',
      { test: { method: 'GET', url: '{{credential.base_url}}', headers: null, expect: null } },
      /`test\.headers` must be an object.*`test\.expect` must be an object/,
    ],
    [
      'a password in a default',
      { fields: { a: { format: 'url', default: 'https://u:p@a.example' } } },
      /such as "https:\/\/api\.example\.com\/v1"/,
    ],
    [
      'basic beside its own header',
      {
        inject: {
          basic: { username: '{{secret.api_key}}', password: '' },
          headers: { Authorization: 'x' },
        },
      },
      /stands beside `inject\.basic`/,
    ],
    [
      'an unknown signature',
      { inject: { sign: { scheme: 'v0', secret: '{{secret.api_key}}' } } },
      /must be "standard-webhooks"/,
    ],
    [
      'a secret in the test',
      { test: { method: 'GET', url: '{{credential.base_url}}/{{secret.api_key}}' } },
      /`test\.url` holds \{\{secret\.api_key\}\}, which only `inject` may/,
    ],
    [
      'a test elsewhere',
      { test: { method: 'GET', url: 'https://elsewhere.example.com/me' } },
      /`test\.url` must begin with https:\/\/ and one of `hosts`/,
    ],
    [
      'a test of a field that is no host',
      { test: { method: 'GET', url: '{{credential.account}}/me' } },
      /`test\.url` must begin/,
    ],
    [
      'a test whose host goes on',
      { test: { method: 'GET', url: '{{credential.base_url}}.evil.example/' } },
      /`test\.url` must begin/,
    ],
    [
      'templates in headers of the test',
      {
        test: {
          method: 'GET',
          url: '{{credential.base_url}}/me',
          headers: { a: '{{secret.api_key}}' },
        },
      },
      /`test\.headers\.a` is sent as it is written/,
    ],
    [
      'a body of a GET',
      { test: { method: 'GET', url: '{{credential.base_url}}/me', body: {} } },
      /`test\.body` needs method: "POST"/,
    ],
    [
      'an expectation without a value',
      { test: { method: 'GET', url: '{{credential.base_url}}/', expect: { pointer: '/ok' } } },
      /`pointer` and `equals` together/,
    ],
  ])('refuses %s', (_name, change, message) => {
    expect(define(change)).toThrow(message);
  });

  it.each<[object, RegExp]>([
    [{ fields: { token: { secret: true } } }, /is secret, which kind "none" has none of/],
    [{ inject: {} }, /`inject` has nothing to place/],
  ])('refuses secrets of kind none: %j', (change, message) => {
    expect(define(change, { id: 'x', kind: 'none' })).toThrow(message);
  });

  it('takes a test at a suffix, but not at a name that merely ends alike', () => {
    const at = (host: string): object => ({
      hosts: ['*.example.com'],
      test: { method: 'GET', url: `https://${host}/me` },
    });
    expect(define(at('eu.example.com'))).not.toThrow();
    for (const host of ['evilexample.com', 'example.com', 'a.example.com@evil.example']) {
      expect(define(at(host))).toThrow(/`test\.url` must begin/);
    }
  });
});

describe('credentials of a plugin', () => {
  const credential = defineCredential(valid);
  const call = defineAction({
    id: 'call',
    effects: 'read',
    credential,
    input: anything,
    output: {},
    run: (ctx) => ctx.credential,
  });

  it('are described beside the actions that name them', () => {
    const lenient = defineAction({
      id: 'lenient',
      effects: 'read',
      credential,
      credentialOptional: true,
      input: anything,
      output: {},
      http: { method: 'GET', url: '{{ credential.base_url }}/x' },
    });
    const unused = defineCredential({ id: 'unused', kind: 'bearer', hosts: ['api.example.com'] });
    const plugin = definePlugin({
      id: 'p',
      actions: [call, lenient],
      credentials: [credential, unused],
    });
    const { actions, credentials } = plugin.describe();
    expect(actions.map((action) => [action.credential, action.credentialOptional])).toEqual([
      ['vendor', undefined],
      ['vendor', true],
    ]);
    expect(JSON.parse(JSON.stringify(credentials))).toEqual(
      JSON.parse(JSON.stringify([credential, unused])),
    );
  });

  it('are absent when there are none', () => {
    const plain = defineAction({
      id: 'plain',
      effects: 'none',
      input: anything,
      output: {},
      run: () => null,
    });
    const description = definePlugin({ id: 'p', actions: [plain], credentials: [] }).describe();
    expect(description).not.toHaveProperty('credentials');
    expect(description.actions[0]).not.toHaveProperty('credential');
  });

  it('must be listed, once, and as the same object', () => {
    const other = defineCredential(valid);
    expect(() => definePlugin({ id: 'p', actions: [call] })).toThrow(/lacks "vendor"/);
    expect(() => definePlugin({ id: 'p', actions: [call], credentials: [other] })).toThrow(
      /holds another "vendor"/,
    );
    expect(() =>
      definePlugin({ id: 'p', actions: [call], credentials: [credential, other] }),
    ).toThrow(/holds "vendor" twice/);
  });

  it('reach the action without their secrets', async () => {
    const plugin = definePlugin({ id: 'p', actions: [call], credentials: [credential] });
    const readable = { base_url: 'https://api.example.com/v1', account: 'a' };
    await expect(plugin.run('call', { ...kernel, credential: readable })).resolves.toBe(readable);
    await expect(plugin.run('call', kernel)).resolves.toBeNull();
  });

  it.each<[object, RegExp]>([
    [{ credential: { id: 'vendor' } }, /`credential` must be what defineCredential/],
    [{ credentialOptional: true }, /`credentialOptional` stands alone/],
    [{ credential, run: undefined, value: 1 }, /`credential` is of no use/],
  ])('are refused in an action as %j', (change, message) => {
    const definition = {
      id: 'a',
      effects: 'none',
      input: anything,
      output: {},
      run: () => 1,
      ...change,
    };
    expect(() => Reflect.apply(defineAction, null, [definition]) as unknown).toThrow(message);
  });
});

const kernel: KernelContext = {
  input: {},
  credential: null,
  idempotencyKey: 'execution:step:0',
  signal: new AbortController().signal,
  now: () => 1000,
  log: () => undefined,
};
