import {
  DEFAULT_JSON_LIMITS,
  isJsonObject,
  parseUntrustedJson,
  UnsafeJsonError,
  type JsonObject,
  type JsonValue,
} from '../../common/json.js';
import { STEP_ERRORS, type StepError, type StepErrorCode } from '../../common/provider-result.js';
import { MAX_ERROR_MESSAGE_CHARS } from '../protocol/frame-limits.js';
import type { CallFailure } from '../protocol/messages.js';
import type { HostCallError } from '../sandbox.js';

/** How a call ended: a parsed result, or why there is none. */
export type CallOutcome = { ok: true; value: JsonValue } | { ok: false; error: StepError };

export function failed(code: StepErrorCode, message: string, details?: JsonObject): CallOutcome {
  const error: StepError = { code, message, retryable: STEP_ERRORS[code].retryable };
  return { ok: false, error: details === undefined ? error : { ...error, details } };
}

/** Reads a result that a guest has written. Refused, never repaired. */
export function readOutput(body: Uint8Array, isSafe: boolean): CallOutcome {
  const text = decode(body);
  if (text === null) return failed('plugin.output_invalid', 'the result is not UTF-8');
  if (!isSafe) return { ok: true, value: JSON.parse(text) as JsonValue };
  try {
    return { ok: true, value: parseUntrustedJson(text, DEFAULT_JSON_LIMITS) };
  } catch (error) {
    const why = error instanceof UnsafeJsonError ? error.message : 'it can not be read';
    return failed('plugin.output_invalid', `the result is refused: ${why}`);
  }
}

/**
 * Reads a failure that a child reports. Its code counts only from the closed sets below; an egress
 * code only if this call was refused with it, and then in the words of egress itself.
 */
export function readFailure(
  failure: CallFailure,
  details: Uint8Array,
  refusals: ReadonlyMap<string, HostCallError>,
): CallOutcome {
  const message = failure.message.slice(0, MAX_ERROR_MESSAGE_CHARS);
  const refusal = refusals.get(failure.code);
  if (refusal !== undefined) return failed(refusal.code, refusal.message, refusal.details);
  if (isDeclared(failure.code)) {
    const outcome = failed(failure.code, message, readDetails(details));
    if (outcome.ok || failure.retryable === true) return outcome;
    return { ok: false, error: { ...outcome.error, retryable: false } };
  }
  if (isReported(failure.code)) return failed(failure.code, message);
  return failed('plugin.protocol_violation', 'the child reported a failure that there is not');
}

/** What a plugin may say of itself with a typed error of the SDK; the kernel says some of it too. */
const DECLARED = [
  'provider.auth_failed',
  'provider.rate_limited',
  'provider.unavailable',
  'provider.rejected',
  'provider.too_large',
  'input.invalid',
  'plugin.output_invalid',
] as const satisfies readonly StepErrorCode[];

/** What kernel and child report of a plugin. */
const REPORTED = [
  'plugin.threw',
  'plugin.never_settled',
  'plugin.cpu_exceeded',
  'plugin.out_of_memory',
  'plugin.crashed',
  'plugin.load_failed',
  'plugin.protocol_violation',
  'plugin.too_many_calls',
  'plugin.too_many_in_flight',
  'plugin.message_too_large',
  'plugin.output_too_large',
] as const satisfies readonly StepErrorCode[];

function isDeclared(code: string): code is (typeof DECLARED)[number] {
  return (DECLARED as readonly string[]).includes(code);
}

function isReported(code: string): code is (typeof REPORTED)[number] {
  return (REPORTED as readonly string[]).includes(code);
}

/** Details that can't be taken are left out: the failure itself matters more. */
function readDetails(body: Uint8Array): JsonObject | undefined {
  const text = body.byteLength === 0 ? null : decode(body);
  if (text === null) return undefined;
  try {
    const value = parseUntrustedJson(text);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function decode(body: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body);
  } catch {
    return null;
  }
}
