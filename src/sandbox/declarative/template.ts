import type { Expression } from '../../common/expression/ast.js';
import type { Interpolation } from '../../common/expression/interpolation.js';
import type { JsonPrimitive } from '../../common/json.js';

/**
 * A template, compiled: JSON whose texts may hold `{{ expressions }}`, with four kinds of object that
 * stand for something else: `$if`, `$each`, `$spread` and `$evaluate`. Immutable, shared by all calls.
 */
export type Template =
  | { readonly kind: 'constant'; readonly value: JsonPrimitive }
  | { readonly kind: 'text'; readonly text: Interpolation }
  | { readonly kind: 'list'; readonly items: readonly Template[] }
  | ObjectTemplate
  /** `{ "$if": condition, "then": template, "else"?: template }` */
  | {
      readonly kind: 'if';
      readonly test: Condition;
      readonly whenTrue: Template;
      readonly whenFalse: Template | null;
    }
  /** `{ "$each": expression, "as"?: name, "where"?: condition, "do": template }` */
  | {
      readonly kind: 'each';
      readonly list: Expression;
      readonly name: string;
      readonly where: Condition | null;
      readonly body: Template;
    }
  | ParameterExpression;

export interface ObjectTemplate {
  readonly kind: 'object';
  /** `"$spread": expression`: the members of another object, which those written here replace. */
  readonly spread: Expression | null;
  readonly members: readonly (readonly [key: string, value: Template])[];
}

/**
 * `{ "$evaluate": "/where" }`: a parameter that the input schema marks `x-stepwell-expression` and
 * that the engine therefore left as it was written. Its `${...}` are resolved here, with the item at
 * hand in scope; as a condition it is a `when`.
 */
export interface ParameterExpression {
  readonly kind: 'parameter';
  /** JSON Pointer into the input. */
  readonly pointer: string;
}

export type Condition =
  { readonly kind: 'expression'; readonly expression: Expression } | ParameterExpression;
