import { isJsonObject, pointerToken } from '../../common/json.js';
import type { JsonValue } from '../../common/json.js';

/**
 * JSON Pointers (RFC 6901) to where two values differ, in document order; empty when they are equal.
 * The order of keys doesn't count, and neither does -0.
 */
export function findDifferences(a: JsonValue, b: JsonValue, limit = 10): string[] {
  const found: string[] = [];
  compare(a, b, '', { found, limit });
  return found;
}

function compare(
  a: JsonValue | undefined,
  b: JsonValue | undefined,
  at: string,
  out: { found: string[]; limit: number },
): void {
  if (out.found.length >= out.limit || a === b) return;
  if (Array.isArray(a) && Array.isArray(b) && a.length === b.length) {
    for (const [index, item] of a.entries()) compare(item, b[index], `${at}/${String(index)}`, out);
  } else if (isJsonObject(a) && isJsonObject(b)) {
    for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
      compare(own(a, key), own(b, key), `${at}/${pointerToken(key)}`, out);
    }
  } else {
    out.found.push(at);
  }
}

function own(value: { [key: string]: JsonValue }, key: string): JsonValue | undefined {
  return Object.hasOwn(value, key) ? value[key] : undefined;
}
