import type { IncomingHttpHeaders } from 'node:http';

import { AppError } from '../common/errors.js';
import {
  assertSafeJson,
  isStorable,
  UnsafeJsonError,
  type JsonObject,
  type JsonValue,
} from '../common/json.js';

/** A call as it came; what is in it is a stranger's. */
export interface CallContent {
  method: string;
  query: Readonly<Record<string, string | string[] | undefined>>;
  headers: IncomingHttpHeaders;
  /** Undefined: there was none. */
  body: JsonValue | undefined;
}

/** What a call gives to the run that it begins. */
export interface CallData {
  /** The body, or the query of a call without one: what `input` reads. */
  input: JsonValue;
  /** `{ method, query, headers, body? }`: what `trigger` reads; without a body, that is the input. */
  trigger: JsonObject;
}

/**
 * What secrets are sent in. Plans show and store what they read, and a proof that was sent along, by a
 * browser or by mistake, is nothing for them.
 */
const SECRET_HEADER =
  /auth(?!or(?!iz))|cookie|token|secret|passw|credential|session|bearer|jwt|oidc|(?:access|api|functions?|private|subscription)[-_]?key/;

/** Of the connection and of proxies on the way, not of the call. */
const HOP_HEADER =
  /^(?:connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|forwarded|via|x-forwarded-.*|x-real-ip)$/;

/**
 * @throws AppError request.invalid when the query holds what can't be stored, or would reach into
 *   prototypes; bodies were checked when they were parsed.
 */
export function readCall({ method, query, headers, body }: CallContent): CallData {
  const asked = readFields(query, 'the query');
  const trigger = { method, query: asked, headers: readHeaders(headers) };
  // A body is the input: it is stored once, and the engine reads it as `trigger.body`, too.
  return body === undefined
    ? { input: asked, trigger: { ...trigger, body: null } }
    : { input: body, trigger };
}

/** Fields of a query or a form: text, or a list where one is repeated. @throws AppError request.invalid */
export function readFields(
  fields: Readonly<Record<string, string | string[] | undefined>>,
  what: string,
): JsonObject {
  const read: JsonObject = {};
  let isEmpty = true;
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    // Assigned, `__proto__` would change the object and be lost to the check below.
    Object.defineProperty(read, name, { value, enumerable: true, writable: true });
    isEmpty = false;
  }
  if (isEmpty) return read;
  assertSafe(read, what);
  return read;
}

function assertSafe(value: JsonObject, what: string): void {
  try {
    assertSafeJson(value);
  } catch (error) {
    if (!(error instanceof UnsafeJsonError)) throw error;
    throw new AppError('request.invalid', `${what} can't be read: ${error.message}`, {
      cause: error,
    });
  }
  if (!isStorable(value)) {
    throw new AppError(
      'request.invalid',
      `${what} holds NUL characters or unpaired surrogates, which are not text; remove them`,
    );
  }
}

function readHeaders(headers: IncomingHttpHeaders): JsonObject {
  const read: JsonObject = {};
  for (const name in headers) {
    const value = headers[name];
    if (value === undefined || isWithheld(name)) continue;
    read[name] = value;
  }
  return read;
}

function isWithheld(name: string): boolean {
  return (
    SECRET_HEADER.test(name) ||
    HOP_HEADER.test(name) ||
    // Names that reach into prototypes.
    name === '__proto__' ||
    name === 'constructor' ||
    name === 'prototype'
  );
}
