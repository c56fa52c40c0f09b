/** As in define-action.ts: checked by `tsc -p plugin-sdk/type-tests`, never run. */
import { defineAction, defineCredential, definePlugin } from '@stepwell/plugin-sdk';

type Same<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
declare function expectType<A, B>(same: Same<A, B>): void;

const empty = { type: 'object' } as const;

const openai = defineCredential({
  id: 'openai',
  kind: 'api_key',
  hosts: [{ fromField: 'base_url' }],
  fields: {
    api_key: { title: 'Secret key' },
    base_url: { default: 'https://api.openai.com/v1', format: 'url', title: 'Base URL' },
    organization: { required: false },
    webhook_secret: { secret: true, required: false },
  },
  inject: { headers: { authorization: 'Bearer {{secret.api_key}}' } },
  test: { method: 'GET', url: '{{credential.base_url}}/models' },
});

const basic = defineCredential({ id: 'basic', kind: 'basic', hosts: ['api.example.com'] });
const bearer = defineCredential({ id: 'bearer', kind: 'bearer', hosts: ['api.example.com'] });

const withCredential = defineAction({
  id: 'with_credential',
  effects: 'read',
  credential: openai,
  input: { type: 'object', properties: { n: { type: 'number' } }, required: ['n'] },
  output: empty,
  run({ credential, input }) {
    expectType<typeof input.n, number>(true);
    expectType<typeof credential, { readonly base_url: string; readonly organization?: string }>(
      true,
    );
    // @ts-expect-error -- secrets never come to the plugin
    credential.api_key;
    // @ts-expect-error -- neither do the author's own
    credential.webhook_secret;
    // @ts-expect-error -- nobody changes it
    credential.base_url = 'https://elsewhere.example/';
    return {};
  },
});

const withOptional = defineAction({
  id: 'with_optional',
  effects: 'read',
  credential: basic,
  credentialOptional: true,
  input: empty,
  output: empty,
  run({ credential }) {
    expectType<typeof credential, { readonly username: string } | null>(true);
    return {};
  },
});

const withoutFields = defineAction({
  id: 'without_fields',
  effects: 'read',
  credential: bearer,
  input: empty,
  output: empty,
  run({ credential }) {
    // @ts-expect-error -- the only field is secret
    credential.token;
    return {};
  },
});

const without = defineAction({
  id: 'without',
  effects: 'read',
  input: empty,
  output: empty,
  run({ credential }) {
    expectType<typeof credential, null>(true);
    return {};
  },
});

const declarative = defineAction({
  id: 'declarative',
  effects: 'read',
  credential: openai,
  credentialOptional: true,
  input: empty,
  output: {},
  http: { method: 'GET', url: '{{ credential.base_url }}/models' },
});

// @ts-expect-error -- a value sends no request
defineAction({ id: 'v', effects: 'none', credential: openai, input: {}, output: {}, value: 1 });

// @ts-expect-error -- no such kind
defineCredential({ id: 'x', kind: 'oauth9', hosts: ['api.example.com'] });

defineCredential({
  id: 'x',
  kind: 'bearer',
  hosts: ['api.example.com'],
  // @ts-expect-error -- a value is a text
  fields: { region: { default: 1 } },
});

export default definePlugin({
  id: 'types',
  actions: [withCredential, withOptional, withoutFields, without, declarative],
  credentials: [openai, basic, bearer],
});
