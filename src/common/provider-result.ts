import type { JsonObject, JsonValue } from './json.js';

/**
 * What every step returns. A failure is data, never an exception across a wall:
 * `error` is null exactly when `success` is true.
 */
export interface ProviderResult {
  success: boolean;
  output: JsonValue;
  message: string;
  metadata: JsonObject;
  error: StepError | null;
}

export interface StepError {
  code: StepErrorCode;
  message: string;
  /** Whether the same call may succeed later. The step's effects still decide whether it is sent again. */
  retryable: boolean;
  details?: JsonObject;
}

/**
 * Every way a step can end badly: what an SRE may alert on and a plan may branch on.
 * `retryable` is the default for the code.
 */
export const STEP_ERRORS = {
  // The plugin's own fault.
  'plugin.threw': { retryable: false },
  'plugin.never_settled': { retryable: false },
  'plugin.timed_out': { retryable: false },
  'plugin.cpu_exceeded': { retryable: false },
  'plugin.out_of_memory': { retryable: false },
  'plugin.crashed': { retryable: true },
  'plugin.load_failed': { retryable: false },
  'plugin.protocol_violation': { retryable: false },
  'plugin.too_many_calls': { retryable: false },
  'plugin.too_many_in_flight': { retryable: false },
  'plugin.message_too_large': { retryable: false },
  'plugin.output_too_large': { retryable: false },
  'plugin.output_invalid': { retryable: false },
  // The plugin isn't there for this tenant.
  'plugin.not_enabled': { retryable: false },
  'plugin.unavailable': { retryable: false },
  /** The policy of operator or tenant: the action, or all that it could reach. */
  'plugin.not_permitted': { retryable: false },
  /** Whoever the run acts as was disabled. */
  'user.disabled': { retryable: false },
  // The credential of the step.
  'credential.missing': { retryable: false },
  'credential.expired': { retryable: false },
  /** Its ciphertext doesn't decrypt in its place: it was moved or changed. The audit log says so, too. */
  'credential.unreadable': { retryable: false },
  // The caller's fault.
  'input.invalid': { retryable: false },
  'reference.missing': { retryable: false },
  // The network, and what is behind it.
  'egress.denied': { retryable: false },
  'egress.invalid_request': { retryable: false },
  'egress.failed': { retryable: true },
  'egress.timed_out': { retryable: true },
  'egress.response_too_large': { retryable: false },
  'provider.auth_failed': { retryable: false },
  'provider.rate_limited': { retryable: true },
  'provider.unavailable': { retryable: true },
  'provider.rejected': { retryable: false },
  'provider.too_large': { retryable: false },
  // Waits and sub-plans.
  /** Nobody decided, or nothing came, in time. */
  'wait.timed_out': { retryable: false },
  /** The execution of another plan that the step had started, or was to start. */
  'sub_plan.failed': { retryable: false },
  // The engine.
  'step.timed_out': { retryable: true },
  'step.cancelled': { retryable: false },
  'outcome.unknown': { retryable: false },
  /** No place to run in was found: nothing of the plugin ran. */
  'sandbox.unavailable': { retryable: true },
  /** A fault of the host; how far the step had come isn't known. */
  'engine.failed': { retryable: true },
  'engine.gave_up': { retryable: false },
  'engine.too_large': { retryable: false },
} as const satisfies Record<string, { retryable: boolean }>;

export type StepErrorCode = keyof typeof STEP_ERRORS;

export function isStepErrorCode(code: unknown): code is StepErrorCode {
  return typeof code === 'string' && Object.hasOwn(STEP_ERRORS, code);
}

export function stepSucceeded(output: JsonValue, metadata: JsonObject = {}): ProviderResult {
  return { success: true, output, message: 'ok', metadata, error: null };
}

export function stepFailed(
  code: StepErrorCode,
  message: string,
  options: { retryable?: boolean; details?: JsonObject; metadata?: JsonObject } = {},
): ProviderResult {
  const error: StepError = {
    code,
    message,
    retryable: options.retryable ?? STEP_ERRORS[code].retryable,
  };
  if (options.details) error.details = options.details;
  return { success: false, output: null, message, metadata: options.metadata ?? {}, error };
}
