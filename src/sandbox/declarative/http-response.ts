import { isUtf8 } from 'node:buffer';

import type { Evaluated } from '../../common/expression/function-spec.js';
import { parseUntrustedJson, UnsafeJsonError } from '../../common/json.js';
import type { JsonObject, JsonValue } from '../../common/json.js';
import { stepFailed } from '../../common/provider-result.js';
import type { ProviderResult, StepErrorCode } from '../../common/provider-result.js';
import type { OutboundRequest, OutboundResponse } from '../sandbox.js';
import { requestLabel } from './http-exchange.js';
import { isJsonType } from './http-request.js';
import { cut, TemplateFault } from './template-fault.js';

/** What templates see of a response. */
export interface ResponseView extends JsonObject {
  status: number;
  /** Names in small letters; repeated ones joined by a comma, but of set-cookie the last. */
  headers: JsonObject;
  /** Parsed JSON by content type; else text; base64 when it is no UTF-8; null when there is none. */
  body: JsonValue;
  /** There when the body is neither JSON nor text. */
  bodyEncoding?: 'base64';
}

/** @throws TemplateFault when the body is JSON that is refused: too deep, or with unsafe names */
export function readResponse(response: OutboundResponse): ResponseView {
  const headers = joinHeaders(response.headers);
  const type = headers.get('content-type') ?? '';
  return {
    status: response.status,
    headers: Object.fromEntries(headers),
    ...readBody(response.body, type),
  };
}

/** Legal as header names, but nothing that may become a member of an output. */
const UNSAFE_NAMES: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

function joinHeaders(given: OutboundResponse['headers']): Map<string, string> {
  const headers = new Map<string, string>();
  for (const [name, value] of given) {
    const key = name.toLowerCase();
    if (UNSAFE_NAMES.has(key)) continue;
    // Its values hold commas of their own (RFC 9110, section 5.3).
    const earlier = key === 'set-cookie' ? undefined : headers.get(key);
    headers.set(key, earlier === undefined ? value : `${earlier}, ${value}`);
  }
  return headers;
}

function readBody(
  bytes: Uint8Array,
  contentType: string,
): Pick<ResponseView, 'body' | 'bodyEncoding'> {
  if (bytes.length === 0) return { body: null };
  const buffer = asBuffer(bytes);
  if (!isUtf8(buffer)) return { body: buffer.toString('base64'), bodyEncoding: 'base64' };
  const text = readText(buffer);
  if (!isJsonType(contentType)) return { body: text };
  try {
    return { body: parseUntrustedJson(text) };
  } catch (error) {
    if (!(error instanceof UnsafeJsonError)) throw error;
    // Servers that call their HTML error pages JSON shouldn't hide them.
    if (error.reason === 'syntax') return { body: text };
    throw new TemplateFault(
      'provider.rejected',
      `the response is JSON that is refused: ${error.message}`,
    );
  }
}

/** As a TextDecoder reads it: without the mark at its beginning. */
function readText(buffer: Buffer): string {
  const text = buffer.toString('utf8');
  return text.startsWith('\ufeff') ? text.slice(1) : text;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export interface RefusedResponse {
  readonly request: OutboundRequest;
  readonly response: ResponseView;
  /** Of the answer, as they came. */
  readonly bytes: Uint8Array;
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

const MAX_BODY_SHOWN = 300;

/** In the words of the SDK's typed errors: an action as data fails like one with code. */
function describe({ request, response: { status }, bytes }: RefusedResponse): string {
  // White space becomes short, so that a page of HTML shows some of its words.
  const start = readText(asBuffer(bytes.subarray(0, MAX_BODY_SHOWN * 16)));
  const line = start
    .slice(0, MAX_BODY_SHOWN * 4)
    .replace(/\s+/g, ' ')
    .trim();
  const answer = `${requestLabel(request)} answered ${String(status)}`;
  return line === '' ? answer : `${answer}: ${cut(line, MAX_BODY_SHOWN)}`;
}
