import type { CredentialManifest } from '@stepwell/plugin-sdk';

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
    private readonly known: KnownMembers,
  ) {}

  static of(names: readonly string[], known: KnownMembers): TemplateNames {
    return new TemplateNames(new Set(names), known);
  }

  with(...more: string[]): TemplateNames {
    return new TemplateNames(new Set([...this.names, ...more]), this.known);
  }

  has(name: string): boolean {
    return this.names.has(name);
  }

  /** What is wrong with a path, or null. */
  problemOf(path: PathNode): string | null {
    if (!this.names.has(path.root)) return this.explain(path);
    const [member] = path.segments;
    if (member === undefined) return null;
    if (path.root === 'credential') return this.problemOfField(member.key);
    if (path.root !== 'input' || isDeclared(this.known.input, member.key)) return null;
    return `the input schema has no "${member.key}"`;
  }

  private problemOfField(name: string): string | null {
    const { credential } = this.known;
    if (credential === undefined) return null;
    const field = credential.fields.find((one) => one.name === name);
    if (field === undefined) return `the credential "${credential.id}" has no field "${name}"`;
    return field.secret ? `"${name}" of the credential is secret: only its inject places it` : null;
  }

  private explain({ root, text }: PathNode): string {
    const reason = REASONS.get(root);
    const known = [...this.names].join(', ');
    return `"${text}" can't be used here: ${reason ?? `there is no "${root}"`}. Known: ${known}`;
  }
}

/** What is known of the members of names. */
interface KnownMembers {
  readonly input: JsonSchema;
  /** Absent when the type of credential isn't at hand: then its members aren't checked. */
  readonly credential?: CredentialManifest | undefined;
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
