import type { JsonObject, JsonPrimitive, JsonValue } from './manifest.js';

/** JSON as written in source: what a `const` type parameter infers from a literal. */
export type JsonLiteral =
  JsonPrimitive | readonly JsonLiteral[] | { readonly [key: string]: JsonLiteral };

/** A JSON Schema (draft 2020-12) written as a plain object. */
export type PlainSchema = { readonly [keyword: string]: JsonLiteral };

/**
 * The type of the values that a JSON Schema literal accepts. It knows `type` (also as a list),
 * `properties`, `required`, `additionalProperties`, `items`, `enum`, `const`, `anyOf` and `oneOf`;
 * whatever it doesn't know is `JsonValue`, which is never wrong.
 */
export type FromJsonSchema<S> = S extends { readonly const: infer C }
  ? Widen<C>
  : S extends { readonly enum: readonly (infer E)[] }
    ? Widen<E>
    : S extends { readonly anyOf: readonly (infer A)[] }
      ? Each<A>
      : S extends { readonly oneOf: readonly (infer A)[] }
        ? Each<A>
        : S extends { readonly type: infer T }
          ? FromType<T extends readonly (infer U)[] ? U : T, S>
          : JsonValue;

/** Distributes over a union of schemas. */
type Each<A> = A extends unknown ? FromJsonSchema<A> : never;

type FromType<T, S> = T extends 'string'
  ? string
  : T extends 'number' | 'integer'
    ? number
    : T extends 'boolean'
      ? boolean
      : T extends 'null'
        ? null
        : T extends 'array'
          ? FromArray<S>
          : T extends 'object'
            ? FromObject<S>
            : JsonValue;

type FromArray<S> = S extends { readonly items: infer I } ? FromJsonSchema<I>[] : JsonValue[];

type FromObject<S> = S extends { readonly properties: infer P }
  ? Flatten<
      { [K in RequiredKeys<S> & keyof P]: FromJsonSchema<P[K]> } & {
        [K in Exclude<keyof P, RequiredKeys<S>>]?: FromJsonSchema<P[K]>;
      }
    > &
      (S extends { readonly additionalProperties: true | object } ? JsonObject : unknown)
  : S extends { readonly additionalProperties: infer A extends object }
    ? { [key: string]: FromJsonSchema<A> }
    : JsonObject;

type RequiredKeys<S> = S extends { readonly required: readonly (infer K)[] } ? K : never;

type Flatten<T> = { -readonly [K in keyof T]: T[K] };

/** Literal objects and lists of `const` and `enum` without the `readonly` that inference added. */
type Widen<T> = T extends JsonPrimitive ? T : { -readonly [K in keyof T]: Widen<T[K]> };
