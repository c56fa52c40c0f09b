import type { ActionManifest } from '@stepwell/plugin-sdk';

import type { Evaluated } from '../../common/expression/function-spec.js';
import { parseUntrustedJson, UnsafeJsonError } from '../../common/json.js';
import type { JsonObject, JsonValue } from '../../common/json.js';
import { stepFailed } from '../../common/provider-result.js';
import type { ProviderResult, StepErrorCode } from '../../common/provider-result.js';
import type { OutboundResponse } from '../sandbox.js';
import { isJsonType } from './http-request.js';
import { cut, TemplateFault } from './template-fault.js';

/** What templates see of a response. */
export interface ResponseView extends JsonObject {
  status: number;
  /** Names in small letters; repeated ones joined by a comma. */
  headers: JsonObject;
  /** Parsed JSON by content type; else text; base64 when it is no UTF-8; null when there is none. */
  body: JsonValue;
}

/** @throws TemplateFault when the body is JSON that is refused: too deep, or with unsafe names */
export function readResponse(response: OutboundResponse): ResponseView {
  const headers = joinHeaders(response.headers);
  const type = headers.get('content-type') ?? '';
  return {
    status: response.status,
    headers: Object.fromEntries(headers),
    body: readBody(response.body, type),
  };
}

/** Legal as header names, but nothing that may become a member of an output. */
const UNSAFE_NAMES: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

function joinHeaders(given: OutboundResponse['headers']): Map<string, string> {
  const headers = new Map<string, string>();
  for (const [name, value] of given) {
    const key = name.toLowerCase();
    if (UNSAFE_NAMES.has(key)) continue;
    const earlier = headers.get(key);
    headers.set(key, earlier === undefined ? value : `${earlier}, ${value}`);
  }
  return headers;
}

function readBody(bytes: Uint8Array, contentType: string): JsonValue {
  if (bytes.length === 0) return null;
  const text = decodeUtf8(bytes);
  if (text === null) return Buffer.from(bytes).toString('base64');
  if (!isJsonType(contentType)) return text;
  try {
    return parseUntrustedJson(text);
  } catch (error) {
    if (!(error instanceof UnsafeJsonError)) throw error;
    // Servers that call their HTML error pages JSON shouldn't hide them.
    if (error.reason === 'syntax') return text;
    throw new TemplateFault(
      'provider.rejected',
      `the response is JSON that is refused: ${error.message}`,
    );
  }
}

function decodeUtf8(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

export interface RefusedResponse {
  readonly action: ActionManifest;
  /** The method that was sent. */
  readonly method: string;
  readonly statusText: string;
  readonly response: ResponseView;
  /** What the action's `errorMessage` made, empty when nothing. */
  readonly message: string;
  /** What the action's `errorCode` gave, whatever it is. */
  readonly code: Evaluated;
  /** Milliseconds since the epoch. */
  readonly nowMs: number;
}

/** The result of a step whose request was answered, but not with success. */
export function refusalResult(refused: RefusedResponse): ProviderResult {
  const { status } = refused.response;
  const code = isRefusalCode(refused.code) ? refused.code : codeOf(status);
  const retryAfterMs = readRetryAfterMs(refused.response.headers['retry-after'], refused.nowMs);
  const details: JsonObject = { status };
  if (retryAfterMs !== null) details['retry_after_ms'] = retryAfterMs;
  const message = cut(refused.message === '' ? describe(refused) : refused.message);
  // A 500 or a gateway's timeout doesn't say whether a write was done, unless it asks to be tried again.
  if (code === 'provider.unavailable' && retryAfterMs === null) details['outcome'] = 'unknown';
  return stepFailed(code, message, { details });
}

/** The codes that an action may choose from; any other value leaves the choice to the status. */
const REFUSAL_CODES = [
  'provider.auth_failed',
  'provider.rate_limited',
  'provider.unavailable',
  'provider.rejected',
] as const satisfies StepErrorCode[];

function isRefusalCode(code: Evaluated): code is (typeof REFUSAL_CODES)[number] {
  return REFUSAL_CODES.some((known) => known === code);
}

function codeOf(status: number): StepErrorCode {
  if (status === 401 || status === 403) return 'provider.auth_failed';
  if (status === 429) return 'provider.rate_limited';
  return status === 408 || status >= 500 ? 'provider.unavailable' : 'provider.rejected';
}

/** RFC 9110, section 10.2.3: seconds or a date. Null when there is none that can be read. */
function readRetryAfterMs(header: JsonValue | undefined, nowMs: number): number | null {
  if (typeof header !== 'string') return null;
  const text = header.trim();
  if (/^[0-9]{1,9}$/.test(text)) return Number(text) * 1000;
  // Date.parse takes local forms and bare numbers, too; an HTTP date begins with its day and ends in GMT.
  const isHttpDate = text.length <= 40 && /^[A-Z][a-z]{2,8},? .* GMT$/.test(text);
  const dateMs = isHttpDate ? Date.parse(text) : Number.NaN;
  return Number.isNaN(dateMs) ? null : Math.max(0, dateMs - nowMs);
}

const MAX_BODY_SHOWN = 200;

function describe({ response: { status, body }, statusText }: RefusedResponse): string {
  const answer = `the provider answered ${[String(status), statusText].join(' ').trim()}`;
  if (body === null || body === '') return answer;
  return `${answer}: ${cut(typeof body === 'string' ? body : JSON.stringify(body), MAX_BODY_SHOWN)}`;
}
