import type { JsonObject, JsonValue } from '../json.js';
import { isJsonObject } from '../json.js';
import type { CallContext, Evaluated } from './function-spec.js';
import { membersOf } from './members.js';
import { typeName } from './values.js';

/** The arguments of one call, each taken as the type that the function needs, or refused. */
export class Arguments {
  constructor(
    private readonly values: readonly Evaluated[],
    private readonly context: CallContext,
  ) {}

  /** Text; reading it is charged. */
  text(position: number): string {
    const value = this.values[position];
    if (typeof value !== 'string') throw this.wrong(position, 'text');
    this.context.meter.read(value.length);
    return value;
  }

  number(position: number): number {
    const value = this.values[position];
    if (typeof value !== 'number') throw this.wrong(position, 'a number');
    return value;
  }

  optionalInteger(position: number, fallback: number): number {
    const value = this.values[position] ?? fallback;
    if (!Number.isInteger(value)) throw this.wrong(position, 'a whole number');
    return value as number;
  }

  list(position: number): JsonValue[] {
    const value = this.values[position];
    if (!Array.isArray(value)) throw this.wrong(position, 'a list');
    return value;
  }

  /** A list that is gone through; each item is charged as one step. */
  items(position: number): JsonValue[] {
    const list = this.list(position);
    this.context.meter.step(list.length);
    return list;
  }

  /** An object's own members; each is charged as one step. */
  members(position: number): [string, JsonValue][] {
    return membersOf(this.object(position), this.context.meter);
  }

  object(position: number): JsonObject {
    const value = this.values[position];
    if (!isJsonObject(value)) throw this.wrong(position, 'an object');
    return value;
  }

  /** Numbers given one by one, or as one list. */
  numbers(): number[] {
    const only = this.values[0];
    const given = this.values.length === 1 && Array.isArray(only) ? only : this.values;
    this.context.meter.step(given.length);
    return given.map((value) => {
      if (typeof value === 'number') return value;
      throw this.context.error(`expects numbers, got ${typeName(value)}`);
    });
  }

  /** Names given one by one from `position`, or as one list. */
  names(position: number): Set<string> {
    const only = this.values[position];
    const given = Array.isArray(only) ? only : this.values.slice(position);
    this.context.meter.step(given.length);
    const names = new Set<string>();
    for (const value of given) {
      if (typeof value !== 'string')
        throw this.context.error(`expects names, got ${typeName(value)}`);
      names.add(value);
    }
    return names;
  }

  wrong(position: number, expected: string): Error {
    const got = typeName(this.values[position]);
    return this.context.error(`argument ${String(position + 1)} must be ${expected}, got ${got}`);
  }
}
