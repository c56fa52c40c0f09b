import type { JsonValue } from '../json.js';
import { isJsonObject } from '../json.js';
import type { Evaluated } from './function-spec.js';
import { countMembers, keysOf } from './members.js';
import type { Meter } from './meter.js';

/** What JavaScript calls falsy: missing, null, false, 0 and empty text. Lists and objects are true. */
export function isTruthy(value: Evaluated): boolean {
  return Boolean(value);
}

/** The name of a value's type in messages. */
export function typeName(value: Evaluated): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'an object';
  if (typeof value === 'string') return 'text';
  return `a ${typeof value}`;
}

/**
 * How a value is written inside longer text: text as it is, null and missing as nothing (as in
 * Liquid, Mustache and GitHub Actions), lists and objects as JSON. @throws ExpressionError `size`
 */
export function writeAsText(value: Evaluated, meter: Meter): string {
  if (value === undefined || value === null) return '';
  if (typeof value === 'string') return value;
  if (typeof value !== 'object') return String(value);
  return writeJson(value, meter);
}

/** JSON.stringify, charged before it is done. @throws ExpressionError `size` or `steps` */
export function writeJson(value: JsonValue, meter: Meter): string {
  const charge = (members: number): void => {
    meter.step(members);
  };
  meter.grow(estimateJsonSize(value, meter.remainingSize, charge));
  return JSON.stringify(value);
}

/**
 * A lower bound for the bytes of a value as JSON, at least a sixth of them; stops soon after `limit`.
 * Values share parts, so that a small evaluation can stand for a huge text: never stringify first.
 * @param charge is told of the members and items that are about to be gone through
 */
export function estimateJsonSize(
  value: Evaluated,
  limit: number,
  charge?: (members: number) => void,
): number {
  let size = 0;
  const pending: Evaluated[] = [value];
  for (let at = 1; at > 0 && size <= limit;) {
    const node = pending[--at];
    pending.length = at;
    if (typeof node === 'string') size += node.length + 2;
    else if (typeof node === 'number') size += String(node).length;
    else if (typeof node !== 'object' || node === null) size += 4;
    else if (Array.isArray(node)) {
      charge?.(node.length);
      size += 2 + Math.max(0, node.length - 1);
      for (const item of node) pending.push(item);
      at = pending.length;
    } else {
      charge?.(countMembers(node));
      const keys = Object.keys(node);
      size += 2 + Math.max(0, keys.length - 1);
      for (const key of keys) {
        size += key.length + 3;
        pending.push(node[key]);
      }
      at = pending.length;
    }
  }
  return size;
}

/**
 * Whether a value takes at most `maxBytes` as JSON in UTF-8. Never makes more than six times that.
 * @param meter is charged one step for 16 members or items
 * @throws ExpressionError `steps`, only with a meter
 */
export function fitsInBytes(value: JsonValue, maxBytes: number, meter?: Meter): boolean {
  const estimate = estimateJsonSize(value, maxBytes, (members) => meter?.bulk(members));
  if (estimate > maxBytes) return false;
  return estimate * 6 <= maxBytes || Buffer.byteLength(JSON.stringify(value)) <= maxBytes;
}

/**
 * Deep equality of JSON values: as `==` sees it. The order of members doesn't matter, `0` equals
 * `-0`, and nothing equals null. @throws ExpressionError `steps`
 */
export function equalJson(left: Evaluated, right: Evaluated, meter: Meter): boolean {
  const pending: [Evaluated, Evaluated][] = [[left, right]];
  meter.step();
  for (let pair = pending.pop(); pair !== undefined; pair = pending.pop()) {
    const [a, b] = pair;
    // Texts of different lengths are told apart without reading them.
    if (typeof a === 'string' && typeof b === 'string' && a.length === b.length)
      meter.read(a.length);
    if (a === b) continue;
    if (Array.isArray(a)) {
      if (!Array.isArray(b) || a.length !== b.length) return false;
      meter.step(a.length);
      for (let i = 0; i < a.length; i++) pending.push([a[i], b[i]]);
    } else if (isJsonObject(a)) {
      if (!isJsonObject(b)) return false;
      const keys = keysOf(a, meter);
      if (keys.length !== countMembers(b)) return false;
      for (const key of keys) {
        if (!Object.hasOwn(b, key)) return false;
        pending.push([a[key], b[key]]);
      }
    } else if ((a ?? null) !== (b ?? null)) return false;
  }
  return true;
}
