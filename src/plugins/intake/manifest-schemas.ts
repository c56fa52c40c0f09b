import { z } from 'zod';

import { MAX_MANIFEST_WALL_MS } from '../../sandbox/sandbox.js';
import type { JsonValue } from '../../common/json.js';
import { credentialSchema } from './credential-schemas.js';

/** Ids of plugins, actions and credential types. */
const id = z
  .string()
  .regex(
    /^[a-z][a-z0-9_]{0,63}$/,
    'must be 1 to 64 lower-case letters, digits or underscores that begin with a letter',
  );

const title = z.string().min(1).max(100);
const description = z.string().max(4000);

/** Any JSON; its rules are checked by those who know what it means. */
const json = z.custom<JsonValue>((value) => value !== undefined, 'is missing');
const jsonSchema = z.union([z.boolean(), z.record(z.string(), json)], 'must be a JSON Schema');
const pointer = z.string().regex(/^(\/([^~/]|~[01])*)+$/, 'must be a JSON Pointer such as /method');

const httpTemplate = z.strictObject({
  method: z.string().max(4000),
  url: z.string().max(16_000),
  query: z.record(z.string(), json).optional(),
  headers: z.record(z.string(), z.string()).optional(),
  body: json.optional(),
  bodyAs: z.enum(['json', 'textOrJson']).optional(),
  form: z.record(z.string(), json).optional(),
  require: z
    .array(z.strictObject({ that: z.string(), message: z.string(), pointer: pointer.optional() }))
    .max(50)
    .optional(),
  timeoutMs: z.union([z.int(), z.string()], 'must be a whole number or a template').optional(),
  okWhen: z.string().optional(),
  errorMessage: z.string().optional(),
  errorCode: z.string().optional(),
  output: json.optional(),
});

const waitTemplate = z.discriminatedUnion(
  'kind',
  [
    z
      .strictObject({
        kind: z.literal('timer'),
        seconds: json.optional(),
        until: json.optional(),
      })
      .refine(
        ({ seconds, until }) => (seconds === undefined) !== (until === undefined),
        'of kind "timer" takes exactly one of "seconds" and "until"',
      ),
    z.strictObject({ kind: z.literal('callback'), timeoutSeconds: json.optional() }),
    z.strictObject({
      kind: z.literal('approval'),
      message: json,
      timeoutSeconds: json.optional(),
    }),
    z.strictObject({ kind: z.literal('plan'), planId: json, input: json.optional() }),
  ],
  'must have a "kind": "timer", "callback", "approval" or "plan"',
);

const action = z
  .strictObject({
    id,
    title: title.optional(),
    description: description.optional(),
    form: z.enum(['code', 'http', 'value', 'wait']),
    input: jsonSchema,
    output: jsonSchema,
    effects: z.union(
      [z.enum(['none', 'read', 'write']), z.strictObject({ byMethod: pointer })],
      'must be none, read, write or { "byMethod": "/method" }',
    ),
    idempotency: z.enum(['none', 'key', 'natural']),
    generic: z.boolean().optional(),
    credential: id.optional(),
    credentialOptional: z.boolean().optional(),
    http: httpTemplate.optional(),
    value: json.optional(),
    wait: waitTemplate.optional(),
  })
  .superRefine((value, context) => {
    if (value.credentialOptional !== undefined && value.credential === undefined) {
      const message = 'stands alone: name the credential that is optional';
      context.addIssue({ code: 'custom', path: ['credentialOptional'], message });
    }
    if (value.credential !== undefined && (value.form === 'value' || value.form === 'wait')) {
      const message = `stands beside form "${value.form}", which sends no request`;
      context.addIssue({ code: 'custom', path: ['credential'], message });
    }
    if (value.form === 'wait') {
      for (const [fact, only] of [
        ['effects', 'none'],
        ['idempotency', 'natural'],
      ] as const) {
        if (value[fact] === only) continue;
        const message = `must be "${only}" beside form "wait"`;
        context.addIssue({ code: 'custom', path: [fact], message });
      }
      if (value.generic === true) {
        const message = 'stands beside form "wait", which reaches no host';
        context.addIssue({ code: 'custom', path: ['generic'], message });
      }
    }
    for (const part of ['http', 'value', 'wait'] as const) {
      const isThere = value[part] !== undefined;
      if (isThere === (value.form === part)) continue;
      const message = isThere ? `stands beside form "${value.form}"` : 'is missing';
      context.addIssue({ code: 'custom', path: [part], message });
    }
  });

/** What `describe()` returns. */
export const descriptionSchema = z.strictObject({
  id,
  title: title.optional(),
  description: description.optional(),
  actions: z.array(action).min(1, 'must hold at least one action').max(500).superRefine(uniqueIds),
  credentials: z
    .array(credentialSchema({ id, title, description, isHost: isHostPattern }))
    .min(1, 'must be left out when there are none')
    .max(50)
    .superRefine(uniqueIds)
    .optional(),
});

const field = z.string().min(1).max(200);
const HOST =
  'must be a host name in lower case without scheme, port or path (api.example.com, *.example.com), "*", { "fromCredential": field } or { "fromInput": field }';
const host = z.union(
  [
    z.string().max(255).refine(isHostPattern, HOST),
    z.strictObject({ fromCredential: field }),
    z.strictObject({ fromInput: field }),
  ],
  HOST,
);

/** Sane bounds; operator and tenant policy cut further. */
const limits = z.strictObject({
  cpuMs: z.int().min(10).max(60_000).optional(),
  wallMs: z.int().min(100).max(MAX_MANIFEST_WALL_MS).optional(),
  heapMb: z.int().min(8).max(1024).optional(),
});

const hosts = z.array(host).max(100);
const tier = z.enum(['declarative', 'isolate', 'worker']);

const engine = z
  .string()
  .regex(/^>=\d{1,4} <\d{1,4}$/, 'must be a range of SDK majors such as ">=1 <2"')
  .refine(includesSdkMajor, 'excludes SDK 1, which is the one that this host speaks');

const packageName = z
  .string()
  .max(214)
  .regex(/^(@[a-z0-9][a-z0-9._-]*\/)?[a-z0-9][a-z0-9._-]*$/, 'must be an npm package name');

/** Semantic Versioning 2.0.0. */
const version = z
  .string()
  .max(100)
  .regex(
    /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$/,
    'must be an exact version such as 1.0.0',
  );

/** The parts of package.json that matter; the rest is npm's business. */
export const packageJsonSchema = z.object({
  name: packageName,
  version,
  license: z.string().max(200).optional(),
  stepwell: z.strictObject(
    {
      manifestVersion: z.literal(1, 'must be 1'),
      id,
      entry: z
        .string()
        .max(500)
        .refine(isInsidePackage, 'must be a file inside the package such as ./src/index.ts'),
      engine,
      tier: tier.optional(),
      permissions: z.strictObject({ hosts: hosts.optional() }).optional(),
      limits: limits.optional(),
    },
    'is missing: this package is no Stepwell plugin',
  ),
});

const digest = z.string().regex(/^sha256-[0-9a-f]{64}$/, 'must be sha256-<hex>');

/** manifest.json. A manifest of another version is refused before this is asked. */
export const manifestSchema = descriptionSchema.extend({
  manifestVersion: z.literal(1),
  package: packageName,
  version,
  license: z.string().max(200).optional(),
  engine,
  tier,
  permissions: z.strictObject({ hosts }),
  limits,
  contracts: z.record(id, digest),
  bundle: z.strictObject({ digest, bytes: z.int().min(1) }),
});

function uniqueIds(actions: { id: string }[], context: z.RefinementCtx): void {
  const seen = new Set<string>();
  for (const [index, { id: name }] of actions.entries()) {
    if (seen.has(name)) {
      context.addIssue({
        code: 'custom',
        path: [index, 'id'],
        message: `"${name}" is there twice`,
      });
    }
    seen.add(name);
  }
}

/** The form that egress compares with: lower case, ASCII, no port. */
function isHostPattern(pattern: string): boolean {
  if (pattern === '*') return true;
  const name = pattern.startsWith('*.') ? pattern.slice(2) : pattern;
  return !name.includes('*') && URL.parse(`https://${name}/`)?.hostname === name;
}

function includesSdkMajor(range: string): boolean {
  const SDK_MAJOR = 1;
  const [from = 0, below = 0] = range.split(' ').map((part) => Number(part.replace(/\D/g, '')));
  return from <= SDK_MAJOR && SDK_MAJOR < below;
}

function isInsidePackage(path: string): boolean {
  return !/^[/\\]|^[A-Za-z]:|\\|\0/.test(path) && !path.split('/').includes('..') && path !== '';
}
