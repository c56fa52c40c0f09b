import type { PathNode } from '../../common/expression/ast.js';
import { isJsonObject } from '../../common/json.js';
import type { JsonSchema } from '../../common/json.js';

/**
 * The names that a part of a template may use, and why others can't be used there. An inner scope
 * adds the names of its `$each`.
 */
export class TemplateNames {
  private constructor(
    private readonly names: ReadonlySet<string>,
    private readonly input: JsonSchema,
  ) {}

  static of(names: readonly string[], input: JsonSchema): TemplateNames {
    return new TemplateNames(new Set(names), input);
  }

  with(...more: string[]): TemplateNames {
    return new TemplateNames(new Set([...this.names, ...more]), this.input);
  }

  has(name: string): boolean {
    return this.names.has(name);
  }

  /** What is wrong with a path, or null. */
  problemOf(path: PathNode): string | null {
    if (!this.names.has(path.root)) return this.explain(path);
    const [member] = path.segments;
    if (path.root !== 'input' || member === undefined) return null;
    return isDeclared(this.input, member.key) ? null : `the input schema has no "${member.key}"`;
  }

  private explain({ root, text }: PathNode): string {
    const reason = REASONS.get(root);
    const known = [...this.names].join(', ');
    return `"${text}" can't be used here: ${reason ?? `there is no "${root}"`}. Known: ${known}`;
  }
}

const REASONS: ReadonlyMap<string, string> = new Map([
  ['secret', "secrets are placed by the credential's own inject, never by an action"],
  ['credential', 'the request alone may read the credential, and only if the action names one'],
  ['response', 'there is no response before the request was sent'],
  ['item', 'it exists only inside $each'],
  ['index', 'it exists only inside $each'],
  ['steps', 'an action sees its own input only'],
]);

/** Only a schema that lists all members and allows no others can tell. */
function isDeclared(schema: JsonSchema, member: string): boolean {
  if (!isJsonObject(schema) || schema['additionalProperties'] !== false) return true;
  if (['$ref', 'allOf', 'patternProperties'].some((keyword) => Object.hasOwn(schema, keyword)))
    return true;
  const properties = schema['properties'];
  return isJsonObject(properties) && Object.hasOwn(properties, member);
}
