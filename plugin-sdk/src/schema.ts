import type { FromJsonSchema, PlainSchema } from './json-schema-types.js';
import type { JsonSchema, JsonValue } from './manifest.js';

/**
 * A schema object of a library that implements Standard Schema v1 (standardschema.dev) together
 * with Standard JSON Schema, such as zod 4.
 */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>;
    readonly jsonSchema: {
      readonly input: (options: { readonly target: 'draft-2020-12' }) => Record<string, unknown>;
      readonly output: (options: { readonly target: 'draft-2020-12' }) => Record<string, unknown>;
    };
  };
}

/** What `validate` of a Standard Schema answers. */
export type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] };

/** One thing that a value has wrong. */
export interface StandardIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** Either kind of schema that an action takes. */
export type ActionSchema = StandardSchema | PlainSchema;

/** The type of `ctx.input`: what the schema gives after defaults and transforms. */
export type InputOf<S> = S extends StandardSchema
  ? NonNullable<S['~standard']['types']>['output']
  : FromJsonSchema<S>;

/** The type that `run` must return: what the schema takes before defaults and transforms. */
export type ReturnOf<S> = S extends StandardSchema
  ? NonNullable<S['~standard']['types']>['input']
  : FromJsonSchema<S>;

/** Whether a value is a Standard Schema; zod's are objects, other libraries' are functions. */
export function isStandardSchema(schema: unknown): schema is StandardSchema {
  if ((typeof schema !== 'object' && typeof schema !== 'function') || schema === null) return false;
  return '~standard' in schema;
}

/** The JSON Schema of an action's input or output, draft 2020-12. */
export function toJsonSchema(schema: ActionSchema, side: 'input' | 'output'): JsonSchema {
  const raw = isStandardSchema(schema)
    ? schema['~standard'].jsonSchema[side]({ target: 'draft-2020-12' })
    : schema;
  // Through text, so that a description holds plain data only: no getters, no undefined.
  const { $schema: dialect, ...rest } = JSON.parse(JSON.stringify(raw)) as Record<
    string,
    JsonValue
  >;
  return dialect === undefined || isDraft202012(dialect) ? rest : { $schema: dialect, ...rest };
}

/** A value that passed, or each issue as a JSON Pointer (RFC 6901) and a message. */
export type Checked =
  | { readonly value: unknown; readonly problems?: undefined }
  | { readonly problems: readonly [SchemaProblem, ...SchemaProblem[]] };

/** Where a value doesn't match its schema, and why. */
export interface SchemaProblem {
  readonly pointer: string;
  readonly detail: string;
}

/** Runs a Standard Schema over a value; a plain JSON Schema is checked by the host alone. */
export async function checkAgainst(schema: ActionSchema, value: unknown): Promise<Checked> {
  if (!isStandardSchema(schema)) return { value };
  const result = await schema['~standard'].validate(value);
  if (result.issues === undefined) return { value: result.value };
  const [first, ...others] = result.issues.map(toProblem);
  return { problems: [first ?? { pointer: '', detail: 'is not valid' }, ...others] };
}

/** All problems in one line, for an error message. */
export function describeProblems(problems: readonly SchemaProblem[]): string {
  return problems.map(({ pointer, detail }) => `${pointer || '/'}: ${detail}`).join('; ');
}

function toProblem(issue: StandardIssue): SchemaProblem {
  const keys = (issue.path ?? []).map((part) => (typeof part === 'object' ? part.key : part));
  const tokens = keys.map((key) => String(key).replaceAll('~', '~0').replaceAll('/', '~1'));
  return { pointer: tokens.map((token) => `/${token}`).join(''), detail: issue.message };
}

function isDraft202012(dialect: JsonValue): boolean {
  return dialect === 'https://json-schema.org/draft/2020-12/schema';
}
