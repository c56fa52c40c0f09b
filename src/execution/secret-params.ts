import { isJsonObject, type JsonSchema, type JsonValue } from '../common/json.js';

/** A parameter whose schema says so holds a secret: no journal and no result may show it. */
const MARK = 'x-stepwell-secret';
const HIDDEN = '***';
const MAX_SECRETS = 100;
const MAX_SECRET_BYTES = 64 * 1024;

/** Names of the parameters that an action's schema marks `"x-stepwell-secret": true`. */
export function secretParams(schema: JsonSchema): string[] {
  if (!isJsonObject(schema) || !isJsonObject(schema['properties'])) return [];
  return Object.entries(schema['properties']).flatMap(([name, property]) =>
    isJsonObject(property) && property[MARK] === true ? [name] : [],
  );
}

/** Every text and number in the secret parameters of an input, for a redactor. */
export function secretTexts(schema: JsonSchema, input: JsonValue): string[] {
  if (!isJsonObject(input)) return [];
  return secretParams(schema).flatMap((name) => textsIn(input[name]));
}

/**
 * Why a step can't have these secret parameters, or null: each value is looked for, in every form that
 * it may take, in all that the step gives back, and a million of them would keep the host from its
 * other tenants.
 */
export function findSecretsFault(texts: readonly string[]): string | null {
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  if (texts.length <= MAX_SECRETS && bytes <= MAX_SECRET_BYTES) return null;
  return `its parameters that are secret hold more than ${String(MAX_SECRETS)} values or ${String(MAX_SECRET_BYTES / 1024)} KiB; pass only what is secret in them`;
}

/** The input as the journal may hold it. */
export function hideSecretParams(schema: JsonSchema, input: JsonValue): JsonValue {
  const names = secretParams(schema);
  if (names.length === 0 || !isJsonObject(input)) return input;
  const hidden = names.filter((name) => Object.hasOwn(input, name) && input[name] !== null);
  return { ...input, ...Object.fromEntries(hidden.map((name) => [name, HIDDEN])) };
}

function textsIn(value: JsonValue | undefined): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value === 'number') return [String(value)];
  if (typeof value !== 'object' || value === null) return [];
  return (Array.isArray(value) ? value : Object.values(value)).flatMap(textsIn);
}
