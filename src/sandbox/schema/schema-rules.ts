import { assertSafeJson, isJsonObject, pointerToken, UnsafeJsonError } from '../../common/json.js';
import type { JsonObject, JsonSchema, JsonValue } from '../../common/json.js';
import { compilePattern, PatternError, weighPattern } from './pattern.js';

export interface SchemaProblem {
  /** JSON Pointer into the schema. */
  pointer: string;
  detail: string;
}

/**
 * Checks a schema of a plugin without compiling it. It has to be plain JSON Schema 2020-12: at most
 * 256 KB and 2,000 objects and arrays, references only within itself, patterns that RE2
 * can match, no keyword that makes validation asynchronous or dynamic. Whether each keyword has the
 * right kind of value is for the compiler to say.
 * @returns all problems found, at most 50; none means that the schema may be compiled
 */
export function findSchemaProblems(schema: JsonSchema): SchemaProblem[] {
  const problem = findBoundsProblem(schema);
  if (problem !== null) return [problem];
  const inspection = new Inspection();
  inspection.run(schema);
  return inspection.problems.slice(0, MAX_PROBLEMS);
}

const MAX_SCHEMA_BYTES = 256 * 1024;
const MAX_SCHEMA_NODES = 2_000;
const MAX_SCHEMA_DEPTH = 64;
const MAX_PROBLEMS = 50;
/** Of all patterns of one schema together; compiling so many takes some 25 ms. */
const MAX_TOTAL_PATTERN_WEIGHT = 20_000;
const DRAFT = 'https://json-schema.org/draft/2020-12/schema';

/** Where the values of keywords are schemas themselves. Anything else is data and is left alone. */
const SCHEMA_KEYWORDS = new Set([
  'additionalProperties',
  'contains',
  'contentSchema',
  'else',
  'if',
  'items',
  'not',
  'propertyNames',
  'then',
  'unevaluatedItems',
  'unevaluatedProperties',
]);
const SCHEMA_LIST_KEYWORDS = new Set(['allOf', 'anyOf', 'oneOf', 'prefixItems']);
const SCHEMA_MAP_KEYWORDS = new Set([
  '$defs',
  'definitions',
  'dependentSchemas',
  'patternProperties',
  'properties',
]);

const REFUSED_KEYWORDS = new Map([
  ['$async', 'validation has to be synchronous'],
  ['$dynamicRef', 'use "$ref" and "$defs"'],
  ['$dynamicAnchor', 'use "$ref" and "$defs"'],
  ['$recursiveRef', 'use "$ref" and "$defs"'],
  ['$recursiveAnchor', 'use "$ref" and "$defs"'],
  ['$vocabulary', 'only the standard vocabulary is known'],
  ['dependencies', 'use "dependentRequired" or "dependentSchemas"'],
  ['id', 'draft 2020-12 has "$id"'],
]);

function findBoundsProblem(schema: JsonSchema): SchemaProblem | null {
  try {
    assertSafeJson(schema, { maxDepth: MAX_SCHEMA_DEPTH, maxKeys: 100_000 });
  } catch (error) {
    if (error instanceof UnsafeJsonError) return { pointer: '', detail: error.message };
    throw error;
  }
  const bytes = Buffer.byteLength(JSON.stringify(schema));
  if (bytes > MAX_SCHEMA_BYTES) {
    return { pointer: '', detail: `is ${String(bytes)} bytes large; at most 256 KB are allowed` };
  }
  const nodes = countNodes(schema);
  if (nodes > MAX_SCHEMA_NODES) {
    return {
      pointer: '',
      detail: `holds ${String(nodes)} objects and arrays; at most 2,000 are allowed`,
    };
  }
  return null;
}

function countNodes(value: JsonValue): number {
  if (typeof value !== 'object' || value === null) return 0;
  const children = Array.isArray(value) ? value : Object.values(value);
  return children.reduce<number>((sum, child) => sum + countNodes(child), 1);
}

/** One walk over all schemas inside a schema; references are judged at the end. */
class Inspection {
  readonly problems: SchemaProblem[] = [];
  readonly #schemaPointers = new Set<string>();
  readonly #anchors = new Set<string>();
  readonly #refs: { pointer: string; ref: string }[] = [];
  #patternWeight = 0;

  run(root: JsonValue): void {
    this.#visit(root, '');
    for (const { pointer, ref } of this.#refs) {
      const detail = this.#findRefProblem(ref);
      if (detail !== null) this.#report(pointer, detail);
    }
  }

  #visit(schema: JsonValue, pointer: string): void {
    this.#schemaPointers.add(pointer);
    if (typeof schema === 'boolean') return;
    if (!isJsonObject(schema)) {
      this.#report(pointer, 'a schema is an object, true or false');
      return;
    }
    for (const [keyword, value] of Object.entries(schema)) {
      const at = `${pointer}/${pointerToken(keyword)}`;
      this.#inspectKeyword({ keyword, value, at, isRoot: pointer === '' });
      this.#visitChildren(keyword, value, at);
    }
  }

  #visitChildren(keyword: string, value: JsonValue, at: string): void {
    if (SCHEMA_KEYWORDS.has(keyword)) {
      this.#visit(value, at);
    } else if (SCHEMA_LIST_KEYWORDS.has(keyword) && Array.isArray(value)) {
      value.forEach((child, i) => {
        this.#visit(child, `${at}/${String(i)}`);
      });
    } else if (SCHEMA_MAP_KEYWORDS.has(keyword) && isJsonObject(value)) {
      this.#visitMap(keyword, value, at);
    }
  }

  #visitMap(keyword: string, map: JsonObject, at: string): void {
    for (const [name, child] of Object.entries(map)) {
      const childPointer = `${at}/${pointerToken(name)}`;
      if (keyword === 'patternProperties') this.#inspectPattern(name, childPointer);
      this.#visit(child, childPointer);
    }
  }

  #inspectKeyword(item: { keyword: string; value: JsonValue; at: string; isRoot: boolean }): void {
    const { keyword, value, at, isRoot } = item;
    const refusal = REFUSED_KEYWORDS.get(keyword);
    if (refusal !== undefined) this.#report(at, `"${keyword}" is not supported; ${refusal}`);
    else if (isJsonObject(value) && Object.hasOwn(value, '$data') && !DATA_KEYWORDS.has(keyword)) {
      this.#report(at, '"$data" is not supported; write the value itself');
    } else if (keyword === '$ref' && typeof value === 'string') {
      this.#refs.push({ pointer: at, ref: value });
    } else if (keyword === 'pattern' && typeof value === 'string') this.#inspectPattern(value, at);
    else if (keyword === '$anchor' && typeof value === 'string') this.#anchors.add(value);
    else if (keyword === '$id' && !isRoot) {
      this.#report(at, '"$id" is allowed at the root only; name inner schemas under "$defs"');
    } else if (keyword === '$schema' && value !== DRAFT && value !== `${DRAFT}#`) {
      this.#report(at, `only draft 2020-12 is known: "${DRAFT}"`);
    }
  }

  #inspectPattern(source: string, at: string): void {
    this.#patternWeight += weighPattern(source);
    // Said once: what comes after isn't even compiled.
    if (this.#patternWeight > MAX_TOTAL_PATTERN_WEIGHT) {
      this.#report(at, 'the patterns of this schema are too large altogether');
      return;
    }
    try {
      compilePattern(source);
    } catch (error) {
      if (!(error instanceof PatternError)) throw error;
      this.#report(at, `pattern can't be matched in linear time (RE2): ${error.message}`);
    }
  }

  /**
   * A pointer has to lead to a schema that this walk has seen: a reference into an unknown keyword
   * or into data would bring in a schema that nobody has checked.
   */
  #findRefProblem(ref: string): string | null {
    if (!ref.startsWith('#')) return `"$ref" has to stay in this schema: begin it with "#"`;
    const fragment = decodeFragment(ref.slice(1));
    if (fragment === null) return 'is not a valid URI fragment';
    const isPointer = fragment === '' || fragment.startsWith('/');
    const isKnown = isPointer ? this.#schemaPointers.has(fragment) : this.#anchors.has(fragment);
    return isKnown ? null : `"${ref.slice(0, 100)}" leads to no schema in this document`;
  }

  #report(pointer: string, detail: string): void {
    this.problems.push({ pointer, detail });
  }
}

/** Keywords whose value is data or a map of names, in which "$data" is a name like any other. */
const DATA_KEYWORDS = new Set([
  ...SCHEMA_MAP_KEYWORDS,
  'const',
  'default',
  'examples',
  'dependentRequired',
]);

function decodeFragment(fragment: string): string | null {
  try {
    return decodeURIComponent(fragment);
  } catch {
    return null;
  }
}
