/**
 * Runs in the thread of the untrusted lane, bundled into one file. Whatever a schema makes this
 * thread do, the main thread ends it when its CPU time is up.
 */
import type { JsonSchema, JsonValue } from '../../common/json.js';
import { BoundedCache } from '../../common/bounded-cache.js';
import { CompiledSchema, SchemaCompileError } from './compile-schema.js';
import type { ValueVerdict } from './compile-schema.js';
import { findSchemaProblems } from './schema-rules.js';

export type SchemaTask =
  | { type: 'warm' }
  | { type: 'compile'; key: string; schema: JsonSchema }
  | { type: 'validate'; key: string; value: JsonValue; applyDefaults: boolean };

export type SchemaTaskResult =
  | { type: 'done' }
  /** The key isn't in this thread's cache, or no longer: compile first. */
  | { type: 'unknown_key' }
  | { type: 'schema_invalid'; detail: string }
  /** Defaults multiplied; the value would cost the main thread more than it may. */
  | { type: 'filled_too_large' }
  | { type: 'verdict'; verdict: ValueVerdict };

const MAX_COMPILED_SCHEMAS = 500;
/** As much as JSON from outside may hold, and as many characters as a response may have bytes. */
const MAX_FILLED_NODES = 100_000;
const MAX_FILLED_CHARACTERS = 5 * 1024 * 1024;
const compiled = new BoundedCache<CompiledSchema>(MAX_COMPILED_SCHEMAS);

export default function runSchemaTask(task: SchemaTask): SchemaTaskResult {
  try {
    switch (task.type) {
      case 'warm':
        // Compiles the meta-schema, which takes longer than any plugin's schema should.
        return warm();
      case 'compile':
        return compile(task.key, task.schema);
      case 'validate':
        return validate(task.key, task.value, task.applyDefaults);
    }
  } catch (error) {
    if (error instanceof SchemaCompileError)
      return { type: 'schema_invalid', detail: error.message };
    throw error;
  }
}

function warm(): SchemaTaskResult {
  new CompiledSchema({}).validate(null, false);
  return { type: 'done' };
}

function compile(key: string, schema: JsonSchema): SchemaTaskResult {
  const [problem] = findSchemaProblems(schema);
  if (problem !== undefined) {
    return { type: 'schema_invalid', detail: `${problem.pointer || 'schema'}: ${problem.detail}` };
  }
  compiled.set(key, new CompiledSchema(schema));
  return { type: 'done' };
}

function validate(key: string, value: JsonValue, applyDefaults: boolean): SchemaTaskResult {
  const schema = compiled.get(key);
  if (schema === undefined) return { type: 'unknown_key' };
  const verdict = schema.validate(value, applyDefaults);
  if (verdict.ok && verdict.value !== value && isTooLarge(verdict.value)) {
    return { type: 'filled_too_large' };
  }
  return { type: 'verdict', verdict };
}

function isTooLarge(value: JsonValue): boolean {
  let nodes = 0;
  let characters = 0;
  const pending = [value];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    nodes += 1;
    if (typeof node === 'string') characters += node.length;
    if (nodes > MAX_FILLED_NODES || characters > MAX_FILLED_CHARACTERS) return true;
    if (typeof node === 'object' && node !== null) {
      for (const child of Array.isArray(node) ? node : Object.values(node)) pending.push(child);
    }
  }
  return false;
}
