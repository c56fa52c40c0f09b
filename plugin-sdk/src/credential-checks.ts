import { kindRules } from './credential-kinds.js';
import type { DefinitionChecks } from './definition-checks.js';
import { checkHeaders, checkInject } from './inject-checks.js';
import { checkPlaceholders } from './inject-placeholders.js';
import type { CredentialField, CredentialManifest } from './manifest.js';

/**
 * What is wrong with a credential beyond its id and wording. `manifest` is what the definition makes,
 * with kind and defaults worked in; the definition itself is asked for what that hides.
 */
export function checkCredential(
  checks: DefinitionChecks,
  definition: { readonly fields?: object; readonly hosts?: unknown; readonly inject?: object },
  manifest: CredentialManifest,
): void {
  const kinds = ['none', 'api_key', 'basic', 'bearer', 'custom'];
  if (!kinds.includes(manifest.kind)) {
    checks.problem('kind', `must be one of ${kinds.map((kind) => `"${kind}"`).join(', ')}`);
  }
  checkOwnFields(checks, definition.fields ?? {}, manifest);
  for (const field of manifest.fields) checkField(checks, field, manifest);
  checkHosts(checks, definition.hosts, manifest);
  if (manifest.kind === 'none') {
    if (definition.inject !== undefined) {
      checks.problem('inject', 'has nothing to place: kind "none" has no secrets');
    }
  } else if (definition.inject === undefined && kindRules(manifest.kind).inject === null) {
    checks.problem(
      'inject',
      `is missing: say how the secret is sent, such as { headers: { authorization: 'Bearer {{secret.${secretOf(manifest)}}}' } }`,
    );
  } else {
    checkInject(checks, manifest);
  }
  checkTest(checks, manifest);
}

/** Fields that the kind brings along keep their rules; only their wording is the author's. */
function checkOwnFields(
  checks: DefinitionChecks,
  fields: object,
  { kind }: CredentialManifest,
): void {
  for (const [name, field] of Object.entries(fields) as [string, object | null][]) {
    const where = `fields.${name}`;
    if (typeof field !== 'object' || field === null) {
      checks.problem(where, 'must be an object such as { title: "Base URL", format: "url" }');
      continue;
    }
    const own = kindRules(kind).fields.find((one) => one.name === name);
    const known = ['title', 'description', 'secret', 'required', 'default', 'format'];
    for (const [key, value] of Object.entries(field)) {
      const isSame = own !== undefined && Reflect.get(own, key) === value;
      const isWording = key === 'title' || key === 'description';
      if (!known.includes(key)) {
        checks.problem(where, `has "${key}", which isn't known: use ${known.join(', ')}`);
      } else if (own !== undefined && !isWording && !isSame) {
        checks.problem(where, `belongs to kind "${kind}": only its title and description change`);
      }
    }
  }
}

function checkField(
  checks: DefinitionChecks,
  field: CredentialField,
  { kind }: CredentialManifest,
): void {
  const where = `fields.${field.name}`;
  if (!FIELD_NAME.test(field.name) || field.name === 'constructor' || field.name === 'prototype') {
    checks.problem(
      where,
      'must have a name of 1 to 64 lower-case letters, digits or underscores that begins with a letter, such as "base_url"',
    );
  }
  for (const text of ['title', 'description', 'default'] as const) {
    if (field[text] !== undefined && typeof field[text] !== 'string') {
      checks.problem(where, `must have a text as its ${text}`);
    }
  }
  for (const flag of ['secret', 'required'] as const) {
    if (typeof field[flag] !== 'boolean') checks.problem(where, `must say ${flag}: true or false`);
  }
  if (field.format !== undefined && (field.format as string) !== 'url') {
    checks.problem(where, 'has a format that isn\'t known: use "url" or leave it out');
  }
  if (kind === 'none' && field.secret) {
    checks.problem(where, 'is secret, which kind "none" has none of: use kind "custom"');
  }
  if (field.default === undefined) return;
  if (field.secret)
    checks.problem(where, 'is secret: leave its default out, everyone could read it');
  if (field.required) {
    checks.problem(where, 'has a default, so it is never required: leave one of them out');
  }
  if (holdsTemplate(field.default)) {
    checks.problem(where, 'must have a default without {{...}}: it is a value, no template');
  }
  if (field.format === 'url' && !isHttpUrl(field.default)) {
    checks.problem(where, 'must have a default such as "https://api.example.com/v1"');
  }
}

function checkHosts(
  checks: DefinitionChecks,
  given: unknown,
  { kind, hosts, fields }: CredentialManifest,
): void {
  if (given !== undefined && !Array.isArray(given)) {
    checks.problem('hosts', 'must be a list such as ["api.example.com"]');
  } else if (hosts.length === 0 && kind !== 'none') {
    checks.problem(
      'hosts',
      'is missing: name each host that the secret may be sent to, such as "api.example.com" or { fromField: "base_url" }',
    );
  }
  for (const [index, host] of (hosts as readonly unknown[]).entries()) {
    const where = `hosts[${String(index)}]`;
    if (typeof host === 'string') {
      if (HOST.test(host)) continue;
      checks.problem(
        where,
        'must be a name in lower case without scheme, port or path, such as "api.example.com" or "*.example.com"',
      );
    } else if (!isFromField(host)) {
      checks.problem(where, 'must be a host name or { fromField: "base_url" }');
    } else if (!isUrlField(fields, host.fromField)) {
      checks.problem(
        where,
        'must name a field that has format: "url" and isn\'t secret: its origin is where the secret goes',
      );
    }
  }
}

function checkTest(checks: DefinitionChecks, manifest: CredentialManifest): void {
  const { test } = manifest;
  if (test === undefined) return;
  if (!checks.onlyKeys('test', test, ['method', 'url', 'headers', 'body', 'expect'])) return;
  if (!['GET', 'HEAD', 'POST'].includes(test.method)) {
    checks.problem('test.method', 'must be "GET", "HEAD" or "POST"');
  } else if (test.body !== undefined && test.method !== 'POST') {
    checks.problem('test.body', 'needs method: "POST"');
  }
  checkTestUrl(checks, test.url, manifest);
  if (test.headers !== undefined && checks.isObject('test.headers', test.headers)) {
    checkTestHeaders(checks, test.headers);
  }
  if (test.body !== undefined && JSON.stringify(test.body).includes('{{')) {
    checks.problem('test.body', `${LITERAL}; only its url may name readable fields`);
  }
  const { expect } = test;
  if (expect === undefined) return;
  if (!checks.onlyKeys('test.expect', expect, ['status', 'pointer', 'equals'])) return;
  const { status = 200, pointer, equals } = expect;
  if (!Number.isInteger(status) || status < 100 || status > 599) {
    checks.problem('test.expect.status', 'must be an HTTP status such as 200');
  }
  if ((pointer === undefined) !== (equals === undefined)) {
    checks.problem('test.expect', 'must have `pointer` and `equals` together, or neither');
  }
  if (pointer !== undefined && !/^(\/([^~/]|~[01])*)*$/.test(pointer)) {
    checks.problem('test.expect.pointer', 'must be a JSON Pointer such as "/ok"');
  }
}

function checkTestUrl(
  checks: DefinitionChecks,
  url: unknown,
  { kind, fields, hosts }: CredentialManifest,
): void {
  if (typeof url !== 'string') {
    checks.problem('test.url', 'must be a text such as "https://api.example.com/me"');
    return;
  }
  checkPlaceholders(checks, { where: 'test.url', text: url, fields, secrets: false });
  const [, name, field] = TEST_ORIGIN.exec(url) ?? [];
  const isCovered =
    field === undefined
      ? name !== undefined && (kind === 'none' || hosts.some((host) => covers(host, name)))
      : kind === 'none'
        ? isUrlField(fields, field)
        : hosts.some((host) => typeof host === 'object' && host.fromField === field);
  if (isCovered) return;
  checks.problem(
    'test.url',
    'must begin with https:// and one of `hosts`, or with {{credential.field}} for a { fromField } of `hosts`: the secret is sent nowhere else',
  );
}

function checkTestHeaders(checks: DefinitionChecks, headers: object): void {
  checkHeaders(checks, 'test.headers', headers);
  for (const [name, value] of Object.entries(headers) as [string, unknown][]) {
    if (holdsTemplate(value)) {
      checks.problem(`test.headers.${name}`, `${LITERAL}: \`inject\` places secrets, here too`);
    }
  }
}

const FIELD_NAME = /^[a-z][a-z0-9_]{0,63}$/;
const HOST = /^(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$/;
/** The host, or the field that holds the origin; no port, no user. */
const TEST_ORIGIN =
  /^(?:https:\/\/([^/?#:@{}\s\\]+)|\{\{credential\.([a-z][a-z0-9_]*)\}\})(?=[/?]|$)/;
const LITERAL = 'is sent as it is written, so it holds no {{...}}';

function isFromField(host: unknown): host is { fromField: unknown } {
  return typeof host === 'object' && host !== null && Object.keys(host).join() === 'fromField';
}

function isUrlField(fields: readonly CredentialField[], name: unknown): boolean {
  return fields.some((field) => field.name === name && field.format === 'url' && !field.secret);
}

function holdsTemplate(value: unknown): boolean {
  return typeof value === 'string' && value.includes('{{');
}

/** Readable, so without a password in it. */
function isHttpUrl(text: unknown): boolean {
  if (typeof text !== 'string' || !/^https?:\/\//.test(text) || !URL.canParse(text)) return false;
  const { username, password, hostname } = new URL(text);
  // A star would be any host to whoever reads it as a pattern.
  return username + password === '' && !hostname.includes('*');
}

function covers(host: unknown, name: string): boolean {
  if (typeof host !== 'string') return false;
  return host.startsWith('*.') ? name.endsWith(host.slice(1)) : name === host;
}

function secretOf({ fields }: CredentialManifest): string {
  return fields.find(({ secret }) => secret)?.name ?? 'field';
}
