import type { JsonObject } from '../json.js';
import type { Meter } from './meter.js';

/**
 * The names of an object's members, each charged as one step. The number of a large object is
 * remembered, so that no later look at it does any work that the budget doesn't cover.
 * @throws ExpressionError `steps`
 */
export function keysOf(object: JsonObject, meter: Meter): string[] {
  const known = counts.get(object);
  if (known !== undefined) meter.step(known);
  const keys = Object.keys(object);
  if (known === undefined) {
    remember(object, keys.length);
    meter.step(keys.length);
  }
  return keys;
}

/** An object's own members, charged in the same way. @throws ExpressionError `steps` */
export function membersOf<T>(object: Readonly<Record<string, T>>, meter: Meter): [string, T][] {
  meter.step(countMembers(object));
  return Object.entries(object);
}

/**
 * How many members an object has. Counting takes as long as naming them all (V8 gathers the names
 * of a large object even for a `for in` that stops at the first), so it is done once for each object;
 * that is far less than making the object took.
 */
export function countMembers(object: Readonly<Record<string, unknown>>): number {
  const known = counts.get(object);
  if (known !== undefined) return known;
  const count = Object.keys(object).length;
  remember(object, count);
  return count;
}

/** Values of an evaluation don't change. Weak, so that it holds none of them. */
const counts = new WeakMap<object, number>();
/** Below that, counting again is cheaper than remembering. */
const LARGE = 64;

function remember(object: object, count: number): void {
  if (count >= LARGE) counts.set(object, count);
}
