import { isJsonObject, readPointer } from '../json.js';
import type { JsonObject, JsonSchema, JsonValue } from '../json.js';

/** The keyword by which an action's input schema says: this parameter is an expression of its own. */
const MARK = 'x-stepwell-expression';

/**
 * A place in a value, seen through the JSON Schema (2020-12) of the whole. It tells which parameters
 * the engine must leave alone because the action evaluates them itself.
 */
export class SchemaPlace {
  private constructor(
    private readonly root: JsonSchema,
    private readonly schemas: readonly JsonObject[],
    /** Whether this place, or one above it, is marked `x-stepwell-expression: true`. */
    readonly isExpression: boolean,
  ) {}

  /** @returns null when nothing in the schema is marked, which is the common case */
  static of(schema: JsonSchema | undefined): SchemaPlace | null {
    if (schema === undefined || !isJsonObject(schema) || !isMarkedAnywhere(schema)) return null;
    return SchemaPlace.at(schema, [schema], false);
  }

  /** The place of one member or item. */
  child(key: string | number): SchemaPlace {
    if (this.isExpression) return this;
    const found = this.schemas.flatMap((schema) =>
      typeof key === 'number' ? itemSchemas(schema, key) : memberSchemas(schema, key),
    );
    return SchemaPlace.at(this.root, found, false);
  }

  private static at(
    root: JsonSchema,
    given: readonly JsonValue[],
    isInherited: boolean,
  ): SchemaPlace {
    const schemas = applicable(root, given);
    return new SchemaPlace(
      root,
      schemas,
      isInherited || schemas.some((schema) => schema[MARK] === true),
    );
  }
}

/** All schemas that may speak about the same place; a set, so that circular references end. */
function applicable(root: JsonSchema, given: readonly JsonValue[]): JsonObject[] {
  const seen = new Set<JsonObject>();
  const pending: (JsonValue | undefined)[] = [...given];
  while (pending.length > 0) {
    const schema = pending.pop();
    if (schema === undefined || !isJsonObject(schema) || seen.has(schema)) continue;
    seen.add(schema);
    const reference = own(schema, '$ref');
    if (typeof reference === 'string' && reference.startsWith('#')) {
      pending.push(readPointer(root, decodeFragment(reference.slice(1))));
    }
    for (const keyword of ['allOf', 'anyOf', 'oneOf']) {
      const branches = own(schema, keyword);
      if (Array.isArray(branches)) pending.push(...branches);
    }
    pending.push(own(schema, 'then'), own(schema, 'else'));
  }
  return [...seen];
}

function memberSchemas(schema: JsonObject, key: string): JsonValue[] {
  const properties = own(schema, 'properties');
  const named = isJsonObject(properties) ? own(properties, key) : undefined;
  const rest = named ?? own(schema, 'additionalProperties');
  return rest === undefined ? [] : [rest];
}

function itemSchemas(schema: JsonObject, index: number): JsonValue[] {
  const prefix = own(schema, 'prefixItems');
  const placed = Array.isArray(prefix) ? prefix[index] : undefined;
  const rest = placed ?? own(schema, 'items');
  return rest === undefined ? [] : [rest];
}

/** Schemas don't change once read, so each is searched once. */
const searched = new WeakMap<JsonObject, boolean>();

function isMarkedAnywhere(schema: JsonObject): boolean {
  let isMarked = searched.get(schema);
  if (isMarked === undefined) {
    isMarked = holdsMark(schema);
    searched.set(schema, isMarked);
  }
  return isMarked;
}

function holdsMark(schema: JsonObject): boolean {
  const pending: JsonValue[] = [schema];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    if (Array.isArray(node)) pending.push(...node);
    else if (isJsonObject(node)) {
      if (own(node, MARK) === true) return true;
      pending.push(...Object.values(node));
    }
  }
  return false;
}

function own(object: JsonObject, key: string): JsonValue | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

/** A `$ref` is a URI: its pointer may be percent-encoded (RFC 6901, section 6). */
function decodeFragment(fragment: string): string {
  try {
    return decodeURIComponent(fragment);
  } catch {
    return fragment;
  }
}
