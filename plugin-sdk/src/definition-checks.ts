import { isStandardSchema } from './schema.js';

/** Ids of plugins and actions. */
const ID = /^[a-z][a-z0-9_]{0,63}$/;

/**
 * Collects what is wrong with a definition, so that its author sees everything at once. Types say
 * the same, but plugins are written in JavaScript, too.
 */
export class DefinitionChecks {
  readonly #where: string;
  readonly #fields: Readonly<Record<string, unknown>>;
  readonly #problems: string[] = [];

  constructor(where: string, definition: unknown) {
    this.#where = where;
    if (typeof definition !== 'object' || definition === null) {
      throw new TypeError(`${where}: pass one object that holds the definition`);
    }
    this.#fields = { ...definition };
  }

  /** @throws TypeError with every problem found so far, if any */
  finish(): void {
    if (this.#problems.length === 0) return;
    const { id } = this.#fields;
    const name = typeof id === 'string' ? `${this.#where} "${id}"` : this.#where;
    throw new TypeError(`${name}: ${this.#problems.join('; ')}`);
  }

  problem(field: string, advice: string): void {
    this.#problems.push(`\`${field}\` ${advice}`);
  }

  onlyFields(known: readonly string[]): void {
    for (const field of Object.keys(this.#fields)) {
      if (!known.includes(field)) this.problem(field, `isn't known: use ${known.join(', ')}`);
    }
  }

  /** The same for an object inside the definition; false when it is none. */
  onlyKeys(field: string, value: unknown, known: readonly string[]): boolean {
    if (!this.isObject(field, value)) return false;
    for (const key of Object.keys(value)) {
      if (!known.includes(key))
        this.problem(`${field}.${key}`, `isn't known: use ${known.join(', ')}`);
    }
    return true;
  }

  /** Whether something inside the definition is an object; reports when it isn't. */
  isObject(field: string, value: unknown): value is object {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return true;
    this.problem(field, 'must be an object');
    return false;
  }

  id(field: string): void {
    const value = this.#fields[field];
    if (typeof value === 'string' && ID.test(value)) return;
    this.problem(
      field,
      'must be 1 to 64 lower-case letters, digits or underscores that begin with a letter, such as "send_message"',
    );
  }

  optionalText(field: string): void {
    const value = this.#fields[field];
    if (value !== undefined && typeof value !== 'string') this.problem(field, 'must be a text');
  }

  optionalFlag(field: string): void {
    const value = this.#fields[field];
    if (value !== undefined && typeof value !== 'boolean') {
      this.problem(field, 'must be true or false');
    }
  }

  optionalFunction(field: string): void {
    const value = this.#fields[field];
    if (value !== undefined && typeof value !== 'function') {
      this.problem(field, 'must be a function that takes the context');
    }
  }

  oneOf(field: string, values: readonly string[]): void {
    const value = this.#fields[field];
    if (value === undefined || (typeof value === 'string' && values.includes(value))) return;
    this.problem(field, `must be one of ${values.map((one) => `"${one}"`).join(', ')}`);
  }

  schema(field: string): void {
    const value = this.#fields[field];
    if (value === undefined) {
      this.problem(field, 'is missing: give a JSON Schema object or a Standard Schema such as zod');
    } else if (isStandardSchema(value)) {
      // Libraries may lack the JSON Schema half of the standard; the types can't tell at run time.
      const standard: object = value['~standard'];
      if (!('jsonSchema' in standard)) {
        this.problem(
          field,
          'is a schema without JSON Schema output ("~standard.jsonSchema"): use zod 4.2 or newer (zod/mini has none), or a plain JSON Schema object',
        );
      }
    } else if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      this.problem(field, 'must be a JSON Schema object or a Standard Schema such as zod');
    }
  }

  effects(field: string): void {
    const value = this.#fields[field];
    if (value === undefined) {
      this.problem(
        field,
        'is missing: say "none", "read", "write" or { byMethod: "/method" }; it decides whether a failed step is sent again',
      );
    } else if (!['none', 'read', 'write'].includes(value as string) && !isByMethod(value)) {
      this.problem(field, 'must be "none", "read", "write" or { byMethod: "/method" }');
    }
  }

  exactlyOne(fields: readonly string[]): void {
    const given = fields.filter((field) => this.#fields[field] !== undefined);
    if (given.length === 1) return;
    const all = fields.map((field) => `\`${field}\``).join(', ');
    if (given.length === 0) {
      this.problem(fields[0] ?? '', `is missing: give one of ${all}`);
    } else {
      this.problem(given[1] ?? '', `stands beside \`${given[0] ?? ''}\`: give only one of ${all}`);
    }
  }
}

function isByMethod(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const pointer = 'byMethod' in value ? value.byMethod : undefined;
  return typeof pointer === 'string' && pointer.startsWith('/') && Object.keys(value).length === 1;
}
