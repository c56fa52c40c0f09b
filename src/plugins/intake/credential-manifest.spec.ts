import { describe, expect, it } from '@jest/globals';

import type { JsonObject, JsonValue } from '../../common/json.js';
import { readDescription } from './description.js';
import { IntakeError } from './intake-error.js';
import { fakePorts } from './intake-ports.fake.js';
import { manifestDigest } from './manifest.js';
import { readManifest } from './read-package.js';
import { describeBundle } from './verify-plugin.js';

const CREDENTIAL: JsonObject = {
  id: 'vendor',
  kind: 'api_key',
  fields: [
    { name: 'api_key', secret: true, required: true },
    {
      name: 'base_url',
      secret: false,
      required: false,
      default: 'https://a.example',
      format: 'url',
    },
    { name: 'account', secret: false, required: true },
    { name: 'hook', secret: true, required: false, format: 'url' },
  ],
  hosts: [{ fromField: 'base_url' }, 'api.example.com'],
  inject: { headers: { authorization: 'Bearer {{secret.api_key}}' } },
  test: {
    method: 'GET',
    url: '{{credential.base_url}}/me',
    expect: { pointer: '/ok', equals: true },
  },
};

const ACTION: JsonObject = {
  id: 'call',
  form: 'code',
  input: {},
  output: {},
  effects: 'read',
  idempotency: 'none',
};

const HOSTS: JsonValue[] = [{ fromCredential: 'base_url' }, '*.example.com'];

function manifest(change: JsonObject = {}, hosts: JsonValue[] = HOSTS): JsonObject {
  return {
    manifestVersion: 1,
    id: 'vendor',
    package: 'stepwell-plugin-vendor',
    version: '1.0.0',
    engine: '>=1 <2',
    tier: 'isolate',
    permissions: { hosts },
    limits: {},
    actions: [{ ...ACTION, credential: 'vendor' }],
    credentials: [CREDENTIAL],
    contracts: {},
    bundle: { digest: `sha256-${'0'.repeat(64)}`, bytes: 1 },
    ...change,
  };
}

function problems(value: JsonObject): { pointer: string; detail: string }[] {
  try {
    readManifest(value);
    return [];
  } catch (error) {
    if (error instanceof IntakeError) return [...error.problems];
    throw error;
  }
}

const withCredential = (change: JsonObject): JsonObject =>
  manifest({ credentials: [{ ...CREDENTIAL, ...change }] });

describe('credentials in a manifest', () => {
  it('are taken when they keep the rules', () => {
    expect(readManifest(manifest()).credentials).toEqual([CREDENTIAL]);
    const none = { id: 'open', kind: 'none', fields: [], hosts: [], inject: {} };
    expect(problems(manifest({ credentials: [CREDENTIAL, none] }))).toEqual([]);
  });

  it('change no digest where there are none', () => {
    const plain = manifest({ actions: [ACTION] }, ['a.example']);
    delete plain['credentials'];
    const read = readManifest(plain);
    expect(read).toEqual(plain);
    expect(manifestDigest(read)).toBe(manifestDigest(plain as never));
  });

  it.each<[string, JsonObject, string]>([
    ['an unknown kind', { kind: 'oauth9' }, '/kind'],
    ['an unknown key', { secretExposure: 'raw' }, ''],
    ['no field of its kind', { fields: [] }, '/fields/0'],
    [
      'a field of its kind that is open',
      { fields: [{ name: 'api_key', secret: false, required: true }] },
      '/fields/0',
    ],
    ['hosts of none', { hosts: [] }, '/hosts'],
    ['any host', { hosts: ['*'] }, '/hosts/0'],
    ['a host with a port', { hosts: ['a.example:8443'] }, '/hosts/0'],
    [
      'the host of a field that is no URL',
      { hosts: [{ fromField: 'account' }] },
      '/hosts/0/fromField',
    ],
    ['the host of a secret', { hosts: [{ fromField: 'api_key' }] }, '/hosts/0/fromField'],
    ['the host of a secret URL', { hosts: [{ fromField: 'hook' }] }, '/hosts/0/fromField'],
    ['nothing to place', { inject: {} }, '/inject'],
    [
      'a transport header',
      { inject: { headers: { host: '{{secret.api_key}}' } } },
      '/inject/headers/host',
    ],
    [
      'a header that is none',
      { inject: { headers: { 'a b': '{{secret.api_key}}' } } },
      '/inject/headers/a b',
    ],
    ['a line break', { inject: { headers: { a: '{{secret.api_key}}\n' } } }, '/inject/headers/a'],
    [
      'a control character in a header',
      { inject: { headers: { a: '{{secret.api_key}}\u0001' } } },
      '/inject/headers/a',
    ],
    [
      'what no header may hold',
      { inject: { headers: { a: '{{secret.api_key}}€' } } },
      '/inject/headers/a',
    ],
    [
      'a control character in a password',
      { inject: { basic: { username: 'a', password: '\u007f{{secret.api_key}}' } } },
      '/inject/basic/password',
    ],
    [
      'a transport header in a test',
      { test: { method: 'GET', url: 'https://api.example.com/', headers: { Host: 'b.example' } } },
      '/test/headers/Host',
    ],
    [
      'a line break in a test',
      { test: { method: 'GET', url: 'https://api.example.com/', headers: { a: 'b\r\nc: d' } } },
      '/test/headers/a',
    ],
    [
      'a secret that is not there',
      { inject: { query: { k: '{{secret.nope}}' } } },
      '/inject/query/k',
    ],
    [
      'a readable one as secret',
      { inject: { query: { k: '{{secret.account}}' } } },
      '/inject/query/k',
    ],
    [
      'an expression',
      { inject: { query: { k: '{{secret.api_key}}{{ input.x }}' } } },
      '/inject/query/k',
    ],
    [
      'basic beside its header',
      {
        inject: {
          basic: { username: '{{secret.api_key}}', password: '' },
          headers: { Authorization: 'x' },
        },
      },
      '/inject/headers/Authorization',
    ],
    [
      'another signature',
      { inject: { sign: { scheme: 'x', secret: '{{secret.api_key}}' } } },
      '/inject/sign/scheme',
    ],
    ['a test elsewhere', { test: { method: 'GET', url: 'https://b.example/' } }, '/test/url'],
    ['a test in clear', { test: { method: 'GET', url: 'http://api.example.com/' } }, '/test/url'],
    [
      'a test that goes on after its origin',
      { test: { method: 'GET', url: '{{credential.base_url}}.b.example/' } },
      '/test/url',
    ],
    [
      'a secret in a test',
      { test: { method: 'GET', url: 'https://api.example.com/{{secret.api_key}}' } },
      '/test/url',
    ],
    [
      'a secret in the body of a test',
      { test: { method: 'POST', url: 'https://api.example.com/', body: ['{{secret.api_key}}'] } },
      '/test/body',
    ],
    [
      'half an expectation',
      { test: { method: 'GET', url: 'https://api.example.com/', expect: { equals: 1 } } },
      '/test/expect',
    ],
  ])('are refused with %s', (_name, change, pointer) => {
    // What follows from the first problem, such as a test that now leads elsewhere, is told, too.
    const [first] = problems(withCredential(change));
    expect(first?.pointer).toBe(`/credentials/0${pointer}`);
  });

  it.each<[string, JsonObject]>([
    ['twice the same name', { name: 'account', secret: false, required: true }],
    ['a name of a prototype', { name: 'constructor', secret: false, required: true }],
    ['a name that is none', { name: 'Base-URL', secret: false, required: true }],
    ['a secret with a default', { name: 'x', secret: true, required: false, default: 'y' }],
    ['a default that is required', { name: 'x', secret: false, required: true, default: 'y' }],
    [
      'a default of 17 KiB',
      { name: 'x', secret: false, required: false, default: 'é'.repeat(8193) },
    ],
    [
      'a default that is no URL',
      { name: 'x', secret: false, required: false, default: 'y', format: 'url' },
    ],
    [
      'a default that holds a password',
      {
        name: 'x',
        secret: false,
        required: false,
        default: 'https://u:p@a.example',
        format: 'url',
      },
    ],
    [
      'a template as default',
      { name: 'x', secret: false, required: false, default: '{{secret.api_key}}' },
    ],
    ['another format', { name: 'x', secret: false, required: true, format: 'email' }],
  ])('are refused for a field with %s', (_name, field) => {
    const fields = [...(CREDENTIAL['fields'] as JsonValue[]), field];
    const [first, ...others] = problems(withCredential({ fields }));
    expect(first?.pointer).toMatch(/^\/credentials\/0\/fields\/4/);
    expect(others).toEqual([]);
  });

  it('are told what a host looks like, in permissions, too', () => {
    const detail = expect.stringMatching(/must be a host name in lower case/);
    const [first] = problems(withCredential({ hosts: ['https://API.example.com/'] }));
    expect(first).toEqual({ pointer: '/credentials/0/hosts/0', detail });
    expect(problems(manifest({}, [...HOSTS, 'A.example']))).toEqual([
      { pointer: '/permissions/hosts/2', detail },
    ]);
  });

  it('have no secrets and no inject when they are of kind none', () => {
    const fields = [{ name: 'x', secret: true, required: true }];
    const inject = { headers: { a: '{{secret.x}}' } };
    expect(
      problems(
        withCredential({
          kind: 'none',
          fields,
          hosts: [],
          inject,
          test: { method: 'GET', url: 'https://a.example/' },
        }),
      ).map(({ pointer }) => pointer),
    ).toEqual(['/credentials/0/fields/0', '/credentials/0/inject']);
  });

  it('have ids of their own, and are not an empty list', () => {
    const twice = problems(manifest({ credentials: [CREDENTIAL, CREDENTIAL] }));
    expect(twice).toEqual([{ pointer: '/credentials/1/id', detail: '"vendor" is there twice' }]);
    expect(problems(manifest({ actions: [ACTION], credentials: [] })).at(0)).toMatchObject({
      pointer: '/credentials',
      detail: 'must be left out when there are none',
    });
  });
});

describe('text that no database takes', () => {
  const WRONG = ['a\0b', 'a\ud800b'];

  it.each(WRONG)('is refused wherever it stands in a manifest: %j', (text) => {
    const detail = 'holds a NUL character or half a surrogate pair, which is no text: leave it out';
    expect(problems(manifest({ description: text }))).toEqual([
      { pointer: '/description', detail },
    ]);
    expect(problems(manifest({ actions: [{ ...ACTION, input: { default: [text] } }] }))).toEqual([
      { pointer: '/actions/0/input/default/0', detail },
    ]);
    expect(problems(manifest({ actions: [{ ...ACTION, input: { [text]: 1 } }] }))).toEqual([
      { pointer: `/actions/0/input/${text}`, detail },
    ]);
  });

  it.each(WRONG)('is refused in what a bundle says of itself: %j', async (title) => {
    const described = { id: 'vendor', title, actions: [ACTION] };
    await expect(readDescription(described, { id: 'vendor' }, fakePorts())).rejects.toMatchObject({
      code: 'plugin.manifest_invalid',
      problems: [{ pointer: '/title' }],
    });
  });

  it('is refused in a bundle', async () => {
    const described = { id: 'vendor', actions: [ACTION] };
    const bundle = `/*! \0 */ var __stepwell_plugin = { default: { describe: () => (${JSON.stringify(described)}) } };`;
    await expect(describeBundle(bundle, fakePorts())).rejects.toMatchObject({
      code: 'plugin.package_refused',
      message: expect.stringMatching(/NUL character/),
    });
  });
});

describe('what actions, credentials and permissions say of each other', () => {
  it.each<[string, JsonObject, string]>([
    [
      'names no credential of the plugin',
      { ...ACTION, credential: 'other' },
      '/actions/0/credential',
    ],
    [
      'is optional about none',
      { ...ACTION, credentialOptional: true },
      '/actions/0/credentialOptional',
    ],
    [
      'sends no request',
      { ...ACTION, form: 'value', value: 1, credential: 'vendor' },
      '/actions/0/credential',
    ],
  ])('refuses an action that %s', (_name, action, pointer) => {
    expect(problems(manifest({ actions: [action] })).map((problem) => problem.pointer)).toEqual([
      pointer,
    ]);
  });

  it.each<[JsonValue[], [pointer: string, detail: RegExp][]]>([
    [HOSTS, []],
    [[{ fromCredential: 'base_url' }, 'api.example.com'], []],
    [
      ['api.example.com'],
      [['/credentials/0/hosts/0', /add \{ "fromCredential": "base_url" \} to permissions\.hosts/]],
    ],
    [
      [{ fromCredential: 'base_url' }, 'example.com', '*.api.example.com', '*.ple.com'],
      [['/credentials/0/hosts/1', /add "api\.example\.com"/]],
    ],
    [
      [
        ...HOSTS,
        { fromCredential: 'account' },
        { fromCredential: 'api_key' },
        { fromCredential: 'hook' },
      ],
      [
        ['/permissions/hosts/2', /names "account", but no credential/],
        ['/permissions/hosts/3', /names "api_key"/],
        ['/permissions/hosts/4', /names "hook"/],
      ],
    ],
  ])('compares hosts of credentials with the permissions %j', (hosts, expected) => {
    expect(problems(manifest({}, hosts))).toEqual(
      expected.map(([pointer, detail]) => ({ pointer, detail: expect.stringMatching(detail) })),
    );
  });

  it('lets a generic plugin send its credentials anywhere', () => {
    const actions = [{ ...ACTION, credential: 'vendor', generic: true }];
    expect(problems(manifest({ actions }, ['*']))).toEqual([]);
  });

  it('asks the same of what a bundle says of itself', async () => {
    const { id, actions, credentials } = manifest();
    const described = { id, actions, credentials } as JsonObject;
    const authored = { id: 'vendor', permissions: { hosts: [] } };
    await expect(readDescription(described, authored, fakePorts())).rejects.toMatchObject({
      code: 'plugin.manifest_invalid',
      problems: [{ pointer: '/credentials/0/hosts/0' }, { pointer: '/credentials/0/hosts/1' }],
    });
  });

  it('shows the type of credential to those who check templates', async () => {
    const { id, actions, credentials } = manifest();
    const ports = fakePorts();
    const seen: unknown[] = [];
    ports.findTemplateProblems = (action, credential) => {
      seen.push([action.id, credential?.id]);
      return [];
    };
    const described = { id, actions, credentials } as JsonObject;
    const permissions = { hosts: [{ fromCredential: 'base_url' }, 'api.example.com'] };
    await readDescription(described, { id: 'vendor', permissions }, ports);
    expect(seen).toEqual([['call', 'vendor']]);
  });
});
