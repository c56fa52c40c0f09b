import { isJsonObject } from '../common/json.js';
import type { JsonObject } from '../common/json.js';
import type { ProviderResult } from '../common/provider-result.js';
import { HostCallError } from '../sandbox/sandbox.js';
import type { OutboundResponse } from '../sandbox/sandbox.js';
import type { Redactor } from './redaction.js';
import type { Header } from './request-head.js';

/** Without the secrets, before a Location among them is followed. A name that held one goes with its value. */
export function redactHeaders(headers: Header[], redactor: Redactor): Header[] {
  if (redactor.isEmpty) return headers;
  return headers
    .filter(([name]) => !redactor.isInHeaderName(name))
    .map(([name, value]) => [name, redactLatin1(value, redactor)]);
}

/** An answer whose body is whole and decompressed, so that no secret hides between two pieces. */
export function redactResponse(response: OutboundResponse, redactor: Redactor): OutboundResponse {
  if (redactor.isEmpty) return response;
  return {
    ...response,
    statusText: redactor.redactText(response.statusText),
    url: redactor.redactText(response.url),
    headers: redactHeaders(response.headers, redactor),
    body: redactor.redactBytes(response.body),
  };
}

export function redactHostCallError(error: HostCallError, redactor: Redactor): HostCallError {
  if (redactor.isEmpty) return error;
  const message = redactor.redactText(error.message);
  return error.details === undefined
    ? new HostCallError(error.code, message)
    : new HostCallError(error.code, message, redactObject(error.details, redactor));
}

/** What a step returns, with the secrets that it was sent with taken out, wherever they stand. */
export function redactResult(result: ProviderResult, redactor: Redactor): ProviderResult {
  const { error } = result;
  return {
    success: result.success,
    output: redactor.redactJson(result.output),
    message: redactor.redactText(result.message),
    metadata: redactObject(result.metadata, redactor),
    error: error && {
      ...error,
      message: redactor.redactText(error.message),
      ...(error.details === undefined ? {} : { details: redactObject(error.details, redactor) }),
    },
  };
}

function redactObject(object: JsonObject, redactor: Redactor): JsonObject {
  const redacted = redactor.redactJson(object);
  return isJsonObject(redacted) ? redacted : {};
}

/** The values of headers are bytes, read as Latin-1: a secret beyond ASCII may stand there as UTF-8. */
function redactLatin1(text: string, redactor: Redactor): string {
  const bytes = Buffer.from(text, 'latin1');
  const redacted = redactor.redactBytes(bytes);
  return redacted === bytes ? text : Buffer.from(redacted).toString('latin1');
}
