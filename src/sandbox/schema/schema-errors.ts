import type { ErrorObject } from 'ajv/dist/2020.js';

import { pointerToken } from '../../common/json.js';

export interface SchemaError {
  /** JSON Pointer into the value. For a property that is missing or too much, it names that property. */
  pointer: string;
  detail: string;
}

export const MAX_SCHEMA_ERRORS = 50;
const MAX_DETAIL_LENGTH = 300;
const MAX_POINTER_LENGTH = 500;

/** Turns errors of ajv into pointers and sentences that a person can act on; repeated ones go. */
export function readErrors(errors: readonly ErrorObject[] | null | undefined): SchemaError[] {
  const seen = new Map<string, SchemaError>();
  for (const error of errors ?? []) {
    if (seen.size >= MAX_SCHEMA_ERRORS) break;
    const read = readError(error);
    seen.set(`${read.pointer}\n${read.detail}`, read);
  }
  return [...seen.values()];
}

function readError(error: ErrorObject): SchemaError {
  const params: Record<string, unknown> = error.params;
  const property = propertyOf(error.keyword, params);
  const pointer =
    property === null ? error.instancePath : `${error.instancePath}/${pointerToken(property)}`;
  return {
    pointer: pointer.slice(0, MAX_POINTER_LENGTH),
    detail: describe(error, params, property).slice(0, MAX_DETAIL_LENGTH),
  };
}

function propertyOf(keyword: string, params: Record<string, unknown>): string | null {
  const name = PROPERTY_PARAMS.get(keyword);
  const value = name === undefined ? undefined : params[name];
  return typeof value === 'string' ? value : null;
}

const PROPERTY_PARAMS = new Map([
  ['required', 'missingProperty'],
  ['dependentRequired', 'missingProperty'],
  ['additionalProperties', 'additionalProperty'],
  ['unevaluatedProperties', 'unevaluatedProperty'],
  ['propertyNames', 'propertyName'],
]);

function describe(
  error: ErrorObject,
  params: Record<string, unknown>,
  property: string | null,
): string {
  switch (error.keyword) {
    case 'required':
      return `must have property '${property ?? ''}'`;
    case 'dependentRequired':
      return `must have property '${property ?? ''}' when '${String(params.property)}' is present`;
    case 'additionalProperties':
    case 'unevaluatedProperties':
      return `must not have property '${property ?? ''}'`;
    case 'propertyNames':
      return `property name '${property ?? ''}' is not valid`;
    case 'type':
      return `must be ${listOf(params.type)}`;
    case 'enum':
      return `must be one of ${list(params.allowedValues).map(show).join(', ')}`;
    case 'const':
      return `must be ${show(params.allowedValue)}`;
    case 'format':
      return `must be a valid ${String(params.format)}`;
    case 'uniqueItems':
      return `items ${String(params.j)} and ${String(params.i)} must not be equal`;
    case 'false schema':
      return 'must not be present';
    default:
      return error.message ?? 'is not valid';
  }
}

function listOf(types: unknown): string {
  return list(types).map(String).join(' or ');
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [value];
}

function show(value: unknown): string {
  return JSON.stringify(value);
}
