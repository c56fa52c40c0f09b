import type { CredentialField, CredentialManifest } from '@stepwell/plugin-sdk';

import type { Problem } from '../common/errors.js';
import { pointerToken } from '../common/json.js';
import { parseHttpUrl, resolveCredentialHosts } from './credential-hosts.js';

/** The fields of a credential, as its type takes them. */
export interface CheckedFields {
  /** Readable ones, with defaults. */
  fields: Record<string, string>;
  secrets: Record<string, string>;
  /** What is wrong with them; no detail repeats a value. */
  problems: Problem[];
}

const MAX_VALUE_BYTES = 16 * 1024;
/** Every form of every secret is looked for in all that a step gives back: that takes time for each. */
const MAX_TOTAL_BYTES = 64 * 1024;

/** Holds what somebody wants to store against the fields of a credential type. Every problem at once. */
export function checkFields(
  type: CredentialManifest,
  given: Readonly<Record<string, unknown>>,
): CheckedFields {
  const checked: CheckedFields = { fields: {}, secrets: {}, problems: [] };
  const known = new Set(type.fields.map(({ name }) => name));
  for (const name of Object.keys(given)) {
    if (known.has(name)) continue;
    checked.problems.push(
      problem(name, `is not a field of "${type.id}"; it has ${list([...known])}`),
    );
  }
  const uses = findUses(type);
  for (const field of type.fields) {
    const value = Object.hasOwn(given, field.name) ? given[field.name] : field.default;
    if (value === undefined) {
      if (field.required) checked.problems.push(problem(field.name, 'is required'));
      continue;
    }
    const detail = findFault(field, value, uses);
    if (detail !== null) checked.problems.push(problem(field.name, detail));
    else (field.secret ? checked.secrets : checked.fields)[field.name] = value as string;
  }
  if (sizeOf(checked) > MAX_TOTAL_BYTES) {
    const detail = 'must not be larger than 64 KiB in all';
    checked.problems.push({ pointer: '/credentials', detail });
  }
  const [host] = uses.host;
  if (checked.problems.length === 0 && host !== undefined && goesNowhere(type, checked.fields)) {
    checked.problems.push(problem(host, 'is required: it says where the credential may be sent'));
  }
  return checked;
}

/** Where the values of a type's fields go, which decides what they may hold. */
interface FieldUses {
  header: ReadonlySet<string>;
  basic: ReadonlySet<string>;
  /** Says where the credential may be sent. */
  host: ReadonlySet<string>;
}

const PLACEHOLDER = /\{\{\s*(?:secret|credential)\.([^\s{}]+)\s*\}\}/g;
/** Field values of RFC 9110, section 5.5: visible characters, spaces and tabs. */
const NOT_IN_HEADERS = /[^\t\x20-\x7e\x80-\xff]/;
/** RFC 7617 allows no control characters. */
const CONTROL = /\p{Cc}/u;

function findUses({ inject, hosts }: CredentialManifest): FieldUses {
  const { username = '', password = '' } = inject.basic ?? {};
  return {
    header: namesIn(Object.values(inject.headers ?? {})),
    basic: namesIn([username, password]),
    host: new Set(hosts.flatMap((host) => (typeof host === 'string' ? [] : [host.fromField]))),
  };
}

function sizeOf({ fields, secrets }: CheckedFields): number {
  return [...Object.values(fields), ...Object.values(secrets)].reduce(
    (bytes, value) => bytes + Buffer.byteLength(value),
    0,
  );
}

function goesNowhere(type: CredentialManifest, fields: Record<string, string>): boolean {
  return resolveCredentialHosts(type, fields).length === 0;
}

function namesIn(templates: string[]): Set<string> {
  return new Set(
    templates.flatMap((text) => [...text.matchAll(PLACEHOLDER)].map(([, name = '']) => name)),
  );
}

/** What is wrong with a value, never saying the value. */
function findFault(field: CredentialField, value: unknown, uses: FieldUses): string | null {
  if (typeof value !== 'string') return 'must be text';
  if (value === '' && (field.secret || field.required)) return 'must not be empty';
  if (Buffer.byteLength(value) > MAX_VALUE_BYTES) return 'must not be longer than 16 KiB';
  if (value.includes('\0')) return 'must not hold NUL characters';
  if (uses.header.has(field.name) && NOT_IN_HEADERS.test(value)) {
    return 'is sent in an HTTP header: it must be one line without special characters';
  }
  if (uses.basic.has(field.name) && CONTROL.test(value)) {
    return 'is sent as a user name or password: it must be one line without control characters';
  }
  if (field.format === 'url' || uses.host.has(field.name)) return findUrlFault(value);
  return null;
}

function findUrlFault(value: string): string | null {
  const url = parseHttpUrl(value);
  if (url === null) return 'must be an absolute URL that begins with https:// or http://';
  // The URL is shown to whoever sees the credential.
  if (url.username !== '' || url.password !== '') return 'must not hold a user name or password';
  return null;
}

function problem(field: string, detail: string): Problem {
  return { pointer: `/credentials/${pointerToken(field)}`, detail };
}

function list(names: string[]): string {
  return names.length === 0 ? 'none' : names.map((name) => `"${name}"`).join(', ');
}
