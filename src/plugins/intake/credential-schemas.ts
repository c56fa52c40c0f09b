import type { CredentialField, CredentialManifest } from '@stepwell/plugin-sdk';
import { z } from 'zod';

import type { JsonValue } from '../../common/json.js';
import {
  findHeaderProblems,
  findInjectProblems,
  findPlaceholderProblems,
} from './inject-problems.js';
import type { IntakeProblem } from './intake-error.js';

/**
 * A type of credential as a manifest describes it: the rules of the SDK's `defineCredential`, held
 * here again, since a manifest may be written by hand.
 */
export function credentialSchema(shared: {
  id: z.ZodType<string>;
  title: z.ZodType<string>;
  description: z.ZodType<string>;
  isHost: (pattern: string) => boolean;
}): z.ZodType<CredentialManifest> {
  const { id, title, description, isHost } = shared;
  const field = z.strictObject({
    name: z
      .string()
      .regex(
        /^[a-z][a-z0-9_]{0,63}$/,
        'must be 1 to 64 lower-case letters, digits or underscores that begin with a letter',
      )
      .refine(
        (name) => name !== 'constructor' && name !== 'prototype',
        'is a name that can not be used',
      ),
    title: title.optional(),
    description: description.optional(),
    secret: z.boolean(),
    required: z.boolean(),
    default: z
      .string()
      .refine((text) => Buffer.byteLength(text) <= MAX_VALUE_BYTES, 'is larger than 16 KiB')
      .optional(),
    format: z.literal('url', 'must be "url" or left out').optional(),
  });
  const host = z.union(
    [
      z
        .string()
        .max(255)
        .refine((name) => name !== '*' && isHost(name), HOST),
      z.strictObject({ fromField: z.string() }),
    ],
    HOST,
  );
  const text = z.string().max(4000);
  const texts = z
    .record(z.string().min(1).max(256), text)
    .refine((record) => Object.keys(record).length <= 20, 'holds more than 20 entries');
  return z
    .strictObject({
      id,
      title: title.optional(),
      description: description.optional(),
      kind: z.enum(['none', 'api_key', 'basic', 'bearer', 'custom']),
      fields: z.array(field).max(50),
      hosts: z.array(host).max(100),
      inject: z.strictObject({
        headers: texts.optional(),
        query: texts.optional(),
        basic: z.strictObject({ username: text, password: text }).optional(),
        sign: z.strictObject({ scheme: z.literal('standard-webhooks'), secret: text }).optional(),
      }),
      test: testSchema.optional(),
    })
    .superRefine((value, context) => {
      for (const { pointer, detail } of findProblems(value as CredentialManifest)) {
        context.addIssue({ code: 'custom', path: pointer.split('/').slice(1), message: detail });
      }
    }) as z.ZodType<CredentialManifest>;
}

const HOST =
  'must be a host name in lower case without scheme, port or path (api.example.com, *.example.com) or { "fromField": field }';

/** Of one field; what the vault takes. */
const MAX_VALUE_BYTES = 16 * 1024;

const testSchema = z.strictObject({
  method: z.enum(['GET', 'HEAD', 'POST']),
  url: z.string().max(4000),
  headers: z.record(z.string(), z.string().max(4000)).optional(),
  body: z.custom<JsonValue>().optional(),
  expect: z
    .strictObject({
      status: z.int().min(100).max(599).optional(),
      pointer: z
        .string()
        .regex(/^(\/([^~/]|~[01])*)*$/, 'must be a JSON Pointer such as /ok')
        .optional(),
      equals: z.custom<JsonValue>().optional(),
    })
    .refine(
      ({ pointer, equals }) => (pointer === undefined) === (equals === undefined),
      'must have pointer and equals together, or neither',
    )
    .optional(),
});

/** Fields that a kind brings along, in their order, at the start of the list. */
const OWN_FIELDS: Record<CredentialManifest['kind'], readonly (readonly [string, boolean])[]> = {
  none: [],
  api_key: [['api_key', true]],
  bearer: [['token', true]],
  basic: [
    ['username', false],
    ['password', true],
  ],
  custom: [],
};

function findProblems(credential: CredentialManifest): IntakeProblem[] {
  return [
    ...findKindProblems(credential),
    ...findFieldProblems(credential),
    ...findHostProblems(credential),
    ...findInjectProblems(credential),
    ...findTestProblems(credential),
  ];
}

function findKindProblems({ kind, fields }: CredentialManifest): IntakeProblem[] {
  return OWN_FIELDS[kind].flatMap(([name, secret], index) => {
    const { required, default: value, format, ...field } = fields[index] ?? { name: '', secret };
    const isOwn = field.name === name && field.secret === secret && required;
    if (isOwn && value === undefined && format === undefined) return [];
    const detail = `must be the field "${name}" of kind "${kind}", required and ${secret ? 'secret' : 'not secret'}`;
    return [{ pointer: `/fields/${String(index)}`, detail }];
  });
}

function findFieldProblems({ kind, fields }: CredentialManifest): IntakeProblem[] {
  const problems: IntakeProblem[] = [];
  for (const [index, field] of fields.entries()) {
    const report = (detail: string): void => {
      problems.push({ pointer: `/fields/${String(index)}`, detail });
    };
    if (fields.findIndex(({ name }) => name === field.name) !== index) {
      report(`"${field.name}" is there twice`);
    }
    if (kind === 'none' && field.secret) report('is secret, which kind "none" has none of');
    if (field.default === undefined) continue;
    if (field.secret) report('is secret, so it must have no default');
    if (field.required) report('has a default, so it is never required');
    if (field.default.includes('{{')) report('must have a default without {{...}}');
    if (field.format === 'url' && !isHttpUrl(field.default)) {
      report('must have an absolute http or https URL without a password as its default');
    }
  }
  return problems;
}

function findHostProblems({ kind, hosts, fields }: CredentialManifest): IntakeProblem[] {
  if (hosts.length === 0 && kind !== 'none') {
    return [{ pointer: '/hosts', detail: 'must name each host that the secret may be sent to' }];
  }
  return hosts.flatMap((host, index) =>
    typeof host === 'string' || isUrlField(fields, host.fromField)
      ? []
      : [
          {
            pointer: `/hosts/${String(index)}/fromField`,
            detail: 'must name a field of format "url" that is not secret',
          },
        ],
  );
}

/** A test goes where the secret may go, and holds none itself. */
function findTestProblems({ kind, test, fields, hosts }: CredentialManifest): IntakeProblem[] {
  if (test === undefined) return [];
  const problems = [
    ...findPlaceholderProblems({
      pointer: '/test/url',
      text: test.url,
      fields,
      allowsSecrets: false,
    }),
    ...findHeaderProblems(test.headers ?? {}, '/test/headers'),
  ];
  const [, name, field] = TEST_ORIGIN.exec(test.url) ?? [];
  const isCovered =
    field === undefined
      ? name !== undefined && (kind === 'none' || hosts.some((host) => coversName(host, name)))
      : isUrlField(fields, field) &&
        (kind === 'none' ||
          hosts.some((host) => typeof host === 'object' && host.fromField === field));
  if (!isCovered) {
    const detail =
      'must begin with https:// and one of the hosts, or with {{credential.field}} for a { "fromField" } of the hosts';
    problems.push({ pointer: '/test/url', detail });
  }
  for (const part of ['headers', 'body'] as const) {
    if (test[part] === undefined || !JSON.stringify(test[part]).includes('{{')) continue;
    problems.push({ pointer: `/test/${part}`, detail: 'is sent as it is, so it holds no {{...}}' });
  }
  if (test.body !== undefined && test.method !== 'POST') {
    problems.push({ pointer: '/test/body', detail: 'needs the method POST' });
  }
  return problems;
}

/** The host, or the field that holds the origin; no port, no user. */
const TEST_ORIGIN =
  /^(?:https:\/\/([^/?#:@{}\s\\]+)|\{\{credential\.([a-z][a-z0-9_]*)\}\})(?=[/?]|$)/;

/** Whether a host of a credential, or of the permissions, takes in a name or a suffix. */
export function coversName(host: unknown, name: string): boolean {
  if (typeof host !== 'string') return false;
  const below = name.startsWith('*.') ? name.slice(1) : name;
  return host === name || (host.startsWith('*.') && below.endsWith(host.slice(1)));
}

export function isUrlField(fields: readonly CredentialField[], name: string): boolean {
  return fields.some((field) => field.name === name && field.format === 'url' && !field.secret);
}

function isHttpUrl(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || !/^https?:\/\//.test(text)) return false;
  // A star would be any host to whoever reads it as a pattern.
  return url.username + url.password === '' && !url.hostname.includes('*');
}
