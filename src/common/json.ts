import type { JsonObject, JsonValue } from '@stepwell/plugin-sdk';

export type { JsonObject, JsonPrimitive, JsonSchema, JsonValue } from '@stepwell/plugin-sdk';

export interface JsonLimits {
  maxDepth: number;
  maxKeys: number;
}

/** Generous for people, small for attackers: deep enough for any API, shallow enough for any stack. */
export const DEFAULT_JSON_LIMITS: JsonLimits = { maxDepth: 64, maxKeys: 100_000 };

/** Keys that reach into prototypes when a careless consumer merges them. */
const FORBIDDEN_KEYS = new Set(['__proto__', 'constructor', 'prototype']);

/** Why a text or value from outside isn't taken as JSON. */
export class UnsafeJsonError extends Error {
  constructor(
    readonly reason: 'syntax' | 'depth' | 'keys' | 'forbidden_key',
    message: string,
  ) {
    super(message);
    this.name = 'UnsafeJsonError';
  }
}

/**
 * Parses JSON from a source that isn't trusted.
 * @throws UnsafeJsonError when it isn't JSON (RFC 8259), is too deep, has too many keys, or holds
 *   an own key named `__proto__`, `constructor` or `prototype` at any level.
 */
export function parseUntrustedJson(
  text: string,
  limits: JsonLimits = DEFAULT_JSON_LIMITS,
): JsonValue {
  assertShape(text, limits);
  let value: JsonValue;
  try {
    value = JSON.parse(text) as JsonValue;
  } catch {
    throw new UnsafeJsonError('syntax', 'not valid JSON');
  }
  assertSafeJson(value, limits);
  return value;
}

/** Checks a parsed value the same way; iterative, so that no nesting exhausts the stack. */
export function assertSafeJson(value: JsonValue, limits: JsonLimits = DEFAULT_JSON_LIMITS): void {
  let keys = 0;
  const pending: { node: JsonValue; depth: number }[] = [{ node: value, depth: 1 }];
  for (let item = pending.pop(); item !== undefined; item = pending.pop()) {
    const { node, depth } = item;
    if (node === null || typeof node !== 'object') continue;
    if (depth > limits.maxDepth) {
      throw new UnsafeJsonError('depth', `nested deeper than ${String(limits.maxDepth)} levels`);
    }
    const entries: [string, JsonValue][] | null = Array.isArray(node) ? null : Object.entries(node);
    const children = entries === null ? (node as JsonValue[]) : entries.map(([, child]) => child);
    keys += children.length;
    if (keys > limits.maxKeys) throw tooManyKeys(limits.maxKeys);
    for (const [key] of entries ?? []) {
      if (FORBIDDEN_KEYS.has(key))
        throw new UnsafeJsonError('forbidden_key', `key "${key}" is not allowed`);
    }
    for (const child of children) pending.push({ node: child, depth: depth + 1 });
  }
}

/**
 * JSON.parse recurses; a text of a million brackets is refused before it gets there. So is one of more
 * items than allowed, as far as commas tell: to build half a million members takes a host a second.
 */
function assertShape(text: string, { maxDepth, maxKeys }: JsonLimits): void {
  let depth = 0;
  let commas = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (inString) {
      if (code === 0x5c) i++;
      else if (code === 0x22) inString = false;
    } else if (code === 0x22) inString = true;
    else if (code === 0x2c) {
      if (++commas > maxKeys) throw tooManyKeys(maxKeys);
    } else if (code === 0x5b || code === 0x7b) {
      if (++depth > maxDepth) {
        throw new UnsafeJsonError('depth', `nested deeper than ${String(maxDepth)} levels`);
      }
    } else if (code === 0x5d || code === 0x7d) depth--;
  }
}

function tooManyKeys(maxKeys: number): UnsafeJsonError {
  return new UnsafeJsonError('keys', `more than ${String(maxKeys)} keys and items`);
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Escapes one reference token of a JSON Pointer (RFC 6901). */
export function pointerToken(token: string | number): string {
  return String(token).replaceAll('~', '~0').replaceAll('/', '~1');
}

/** Reads a JSON Pointer (RFC 6901): undefined when nothing is there. Own properties only. */
export function readPointer(value: JsonValue, pointer: string): JsonValue | undefined {
  if (pointer === '') return value;
  let node: JsonValue | undefined = value;
  for (const raw of pointer.split('/').slice(1)) {
    const token = raw.replaceAll('~1', '/').replaceAll('~0', '~');
    if (Array.isArray(node)) node = /^(0|[1-9]\d*)$/.test(token) ? node[Number(token)] : undefined;
    else if (isJsonObject(node)) node = Object.hasOwn(node, token) ? node[token] : undefined;
    else return undefined;
  }
  return node;
}

/** JSON with sorted keys: equal values give equal texts, so that digests compare values. */
export function canonicalJson(value: JsonValue): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (!isJsonObject(value)) return JSON.stringify(value);
  const members = Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(value[key] as JsonValue)}`);
  return `{${members.join(',')}}`;
}

/**
 * JSON text that PostgreSQL's jsonb takes: it has no place for NUL characters and unpaired
 * surrogates, which become U+FFFD. Results of strangers may hold both.
 */
export function toStorableJson(value: unknown): string {
  const text = JSON.stringify(value);
  return mayBeUnstorable(text) ? JSON.stringify(value, storableMembers) : text;
}

/** Whether `toStorableJson` would leave a value as it is. */
export function isStorable(value: JsonValue): boolean {
  const text = JSON.stringify(value);
  return !mayBeUnstorable(text) || toStorableJson(value) === text;
}

/** Errs on the safe side: an escaped backslash before `u0000` looks the same. */
function mayBeUnstorable(text: string): boolean {
  return text.includes('\\u0000') || /\\ud[89a-f]/i.test(text);
}

function storableMembers(_key: string, value: unknown): unknown {
  if (typeof value === 'string') return storableText(value);
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, child]) => [storableText(key), child]),
  );
}

function storableText(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\ufffd');
}
