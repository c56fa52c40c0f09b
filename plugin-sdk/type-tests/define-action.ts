/**
 * Checked by `tsc -p plugin-sdk/type-tests`, never run: each `@ts-expect-error` fails the check when
 * the line below it compiles, and each `expectType` when a type isn't exactly the one named.
 */
import {
  defineAction,
  definePlugin,
  type FromJsonSchema,
  type JsonValue,
  type WaitRequest,
} from '@stepwell/plugin-sdk';
import * as z from 'zod';

type Same<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
declare function expectType<A, B>(same: Same<A, B>): void;

const zodInput = z.object({ city: z.string(), days: z.number().default(1) });
const zodOutput = z.object({ celsius: z.number() });

export const fromZod = defineAction({
  id: 'from_zod',
  effects: 'read',
  input: zodInput,
  output: zodOutput,
  async run({ input, http, signal, clock }) {
    expectType<typeof input, { city: string; days: number }>(true);
    expectType<typeof signal, AbortSignal>(true);
    expectType<ReturnType<typeof clock.now>, number>(true);
    const answer = await http.get('https://api.example.com/', { query: { city: input.city } });
    const unchecked = await answer.json();
    expectType<typeof unchecked, unknown>(true);
    const body = await answer.json(zodOutput);
    expectType<typeof body, { celsius: number }>(true);
    return { celsius: body.celsius };
  },
});

export const fromJsonSchema = defineAction({
  id: 'from_json_schema',
  effects: 'write',
  idempotency: 'key',
  input: {
    type: 'object',
    properties: {
      channel: { type: 'string' },
      mode: { enum: ['fast', 'slow'] },
      tags: { type: 'array', items: { type: 'string' } },
      at: { type: ['string', 'null'] },
    },
    required: ['channel', 'at'],
    additionalProperties: false,
  },
  output: { type: 'object', properties: { ok: { type: 'boolean' } }, required: ['ok'] },
  run({ input }) {
    expectType<typeof input.channel, string>(true);
    expectType<typeof input.mode, 'fast' | 'slow' | undefined>(true);
    expectType<typeof input.tags, string[] | undefined>(true);
    expectType<typeof input.at, string | null>(true);
    // @ts-expect-error -- not a property of the schema
    input.unknown;
    return { ok: input.tags?.includes('urgent') ?? false };
  },
});

export const wrongOutput = defineAction({
  id: 'wrong_output',
  effects: 'none',
  input: { type: 'object' },
  output: { type: 'object', properties: { ok: { type: 'boolean' } }, required: ['ok'] },
  // @ts-expect-error -- `ok` is a boolean
  run: () => ({ ok: 'yes' }),
});

export const wrongZodOutput = defineAction({
  id: 'wrong_zod_output',
  effects: 'none',
  input: zodInput,
  output: zodOutput,
  // @ts-expect-error -- `celsius` is missing
  run: () => Promise.resolve({}),
});

export const declarative = defineAction({
  id: 'declarative',
  effects: { byMethod: '/method' },
  input: { type: 'object' },
  output: {},
  http: { method: '{{ input.method }}', url: 'https://api.example.com/' },
});

export const fromInput = defineAction({
  id: 'from_input',
  effects: { byMethod: '/method' },
  generic: true,
  input: { type: 'object' },
  output: {},
  http: {
    require: [{ that: 'input.body == null', message: 'no body here', pointer: '/body' }],
    method: '{{ input.method }}',
    url: '{{ input.url }}',
    headers: { $spread: 'input.headers' },
    body: '{{ input.body }}',
    bodyAs: 'textOrJson',
    timeoutMs: '{{ input.timeout_ms }}',
    output: { body: '{{ response.body }}', encoding: '{{ response.bodyEncoding }}' },
  },
});

export const approval = defineAction({
  id: 'approval',
  input: { type: 'object' },
  output: {},
  wait: { kind: 'approval', message: '{{ input.message }}' },
});

const rest = { id: 'rest', input: {}, output: {} } as const;

defineAction({ ...rest, effects: 'none', wait: { kind: 'timer', seconds: 1 } });

const http = { method: 'GET', url: 'https://api.example.com/' } as const;
defineAction({ ...rest, effects: 'read', http: { ...http, timeoutMs: 500 } });

// @ts-expect-error -- no such way to send a body
defineAction({ ...rest, effects: 'read', http: { ...http, body: 1, bodyAs: 'xml' } });

// @ts-expect-error -- what is wrong has to be said
defineAction({ ...rest, effects: 'read', http: { ...http, require: [{ that: 'true' }] } });

// @ts-expect-error -- milliseconds, or a template
defineAction({ ...rest, effects: 'read', http: { ...http, timeoutMs: true } });

// @ts-expect-error -- waiting writes nothing
defineAction({ ...rest, effects: 'write', wait: { kind: 'timer', seconds: 1 } });

// @ts-expect-error -- `seconds` or `until`
defineAction({ ...rest, wait: { kind: 'timer' } });

// @ts-expect-error -- not both
defineAction({ ...rest, wait: { kind: 'timer', seconds: 1, until: '{{ input.at }}' } });

// @ts-expect-error -- no such kind
defineAction({ ...rest, wait: { kind: 'event' } });

// @ts-expect-error -- one form only
defineAction({ ...rest, effects: 'none', value: 1, wait: { kind: 'timer', seconds: 1 } });

// @ts-expect-error -- `effects` is missing
defineAction({ id: 'no_effects', input: {}, output: {}, value: '{{ input }}' });

// @ts-expect-error -- one form only
defineAction({ id: 'two', effects: 'none', input: {}, output: {}, value: 1, run: () => 1 });

// @ts-expect-error -- no output schema
defineAction({ id: 'no_output', effects: 'none', input: {}, value: 1 });

export default definePlugin({
  id: 'types',
  actions: [fromZod, fromJsonSchema, declarative, approval],
});

expectType<WaitRequest['kind'], 'timer' | 'callback' | 'approval' | 'plan'>(true);

expectType<FromJsonSchema<{ readonly const: 'a' }>, 'a'>(true);
expectType<FromJsonSchema<{ readonly type: 'integer' }>, number>(true);
expectType<FromJsonSchema<{ readonly description: 'anything' }>, JsonValue>(true);
expectType<
  FromJsonSchema<{
    readonly anyOf: readonly [{ readonly type: 'string' }, { readonly type: 'null' }];
  }>,
  string | null
>(true);
expectType<
  FromJsonSchema<{
    readonly type: 'object';
    readonly additionalProperties: { readonly type: 'number' };
  }>,
  { [key: string]: number }
>(true);
expectType<
  FromJsonSchema<{
    readonly type: 'array';
    readonly items: { readonly oneOf: readonly [{ readonly type: 'boolean' }] };
  }>,
  boolean[]
>(true);

// @ts-expect-error -- Node is not there
process.exit();

// @ts-expect-error -- neither is the DOM
document.title;
