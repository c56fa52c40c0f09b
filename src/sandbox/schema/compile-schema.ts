import { Ajv2020 } from 'ajv/dist/2020.js';
import type { ValidateFunction } from 'ajv/dist/2020.js';

import { isJsonObject } from '../../common/json.js';
import type { JsonObject, JsonSchema, JsonValue } from '../../common/json.js';
import { SCHEMA_FORMATS } from './formats.js';
import { compilePattern } from './pattern.js';
import { readErrors } from './schema-errors.js';
import type { SchemaError } from './schema-errors.js';
import { UNIQUE_ITEMS } from './unique-items.js';

/** A schema can't be compiled: it isn't valid JSON Schema 2020-12. */
export class SchemaCompileError extends Error {
  override name = 'SchemaCompileError';
}

export type ValueVerdict =
  { ok: true; value: JsonValue } | { ok: false; fault: 'value_invalid'; errors: SchemaError[] };

/**
 * A schema made into functions. The first question, whether a value is valid, stops at the first
 * error; only an invalid value is gone through again to name them all.
 */
export class CompiledSchema {
  readonly #schema: JsonSchema;
  readonly #hasDefaults: boolean;
  readonly #validators = new Map<number, ValidateFunction>();

  /** @throws SchemaCompileError */
  constructor(schema: JsonSchema) {
    assertMetaSchema(schema);
    this.#schema = schema;
    this.#hasDefaults = hasDefault(schema);
    this.#validator({ useDefaults: this.#hasDefaults, allErrors: false });
  }

  /** @param applyDefaults fills in defaults of the schema, in a copy: `value` is never changed */
  validate(value: JsonValue, applyDefaults: boolean): ValueVerdict {
    const useDefaults = applyDefaults && this.#hasDefaults;
    const subject = useDefaults ? cloneJson(value) : value;
    const first = this.#validator({ useDefaults, allErrors: false });
    if (first(subject)) return { ok: true, value: subject };
    if (!isSmall(value)) {
      return { ok: false, fault: 'value_invalid', errors: readErrors(first.errors) };
    }
    const every = this.#validator({ useDefaults, allErrors: true });
    every(useDefaults ? cloneJson(value) : value);
    return { ok: false, fault: 'value_invalid', errors: readErrors(every.errors ?? first.errors) };
  }

  #validator(mode: { useDefaults: boolean; allErrors: boolean }): ValidateFunction {
    const key = (mode.useDefaults ? 2 : 0) + (mode.allErrors ? 1 : 0);
    const known = this.#validators.get(key);
    if (known !== undefined) return known;
    try {
      // An instance of its own: no "$id" of one plugin can meet one of another.
      const validator = makeAjv({ ...mode, meta: false }).compile(this.#schema);
      this.#validators.set(key, validator);
      return validator;
    } catch (error) {
      throw new SchemaCompileError(messageOf(error));
    }
  }
}

/** Values with more parts than that get their first error only: each error costs memory. */
const MAX_EXPLAINED_NODES = 10_000;

const linearRegExp = Object.assign((source: string) => compilePattern(source), {
  code: 'linearRegExp',
});

let metaSchemas: Ajv2020 | null = null;

/** Checks that each keyword has the kind of value that the standard gives it. */
function assertMetaSchema(schema: JsonSchema): void {
  metaSchemas ??= makeAjv({ useDefaults: false, allErrors: false, meta: true });
  if (metaSchemas.validateSchema(schema) === true) return;
  const [error] = readErrors(metaSchemas.errors);
  const place = error === undefined || error.pointer === '' ? 'schema' : error.pointer;
  throw new SchemaCompileError(`${place} ${error?.detail ?? 'is not valid JSON Schema'}`);
}

function makeAjv(mode: { useDefaults: boolean; allErrors: boolean; meta: boolean }): Ajv2020 {
  const ajv = new Ajv2020({
    strict: false,
    allErrors: mode.allErrors,
    useDefaults: mode.useDefaults,
    meta: mode.meta,
    validateSchema: mode.meta,
    addUsedSchema: false,
    // Else `required: ['toString']` would hold for every object.
    ownProperties: true,
    logger: false,
    formats: SCHEMA_FORMATS,
    code: { regExp: linearRegExp },
  });
  ajv.removeKeyword('uniqueItems').addKeyword(UNIQUE_ITEMS);
  return ajv;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message.slice(0, 300) : 'not valid JSON Schema';
}

function hasDefault(schema: JsonValue): boolean {
  if (Array.isArray(schema)) return schema.some(hasDefault);
  if (!isJsonObject(schema)) return false;
  return Object.hasOwn(schema, 'default') || Object.values(schema).some(hasDefault);
}

function isSmall(value: JsonValue): boolean {
  let nodes = 0;
  const pending = [value];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    nodes += 1;
    if (nodes > MAX_EXPLAINED_NODES) return false;
    if (typeof node === 'object' && node !== null) {
      for (const child of Array.isArray(node) ? node : Object.values(node)) pending.push(child);
    }
  }
  return true;
}

/** Several times faster than structuredClone for the small values that steps pass. */
function cloneJson(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(cloneJson);
  if (!isJsonObject(value)) return value;
  const copy: JsonObject = {};
  for (const key of Object.keys(value)) {
    const child = cloneJson(value[key] ?? null);
    if (key === '__proto__') Object.defineProperty(copy, key, { value: child, enumerable: true });
    else copy[key] = child;
  }
  return copy;
}
