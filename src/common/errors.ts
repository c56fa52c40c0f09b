import type { JsonValue } from './json.js';

/**
 * Every error that the API answers with: one code, one status, one title. `retryable` tells a
 * client whether the same request may succeed later.
 */
export const APP_ERRORS = {
  'request.invalid': { status: 400, title: 'The request is not valid', retryable: false },
  'request.unsupported': { status: 415, title: 'Unsupported media type', retryable: false },
  'request.too_large': { status: 413, title: 'The request is too large', retryable: false },
  'request.not_found': { status: 404, title: 'Not found', retryable: false },
  'plan.invalid': { status: 400, title: 'The plan is not valid', retryable: false },
  'auth.required': { status: 401, title: 'Authentication is required', retryable: false },
  'auth.invalid': { status: 401, title: 'The credentials are not valid', retryable: false },
  'auth.forbidden': { status: 403, title: 'Not allowed', retryable: false },
  'plugin.not_permitted': {
    status: 403,
    title: 'The operator does not permit this plugin',
    retryable: false,
  },
  'plugin.consent_required': {
    status: 409,
    title: 'The plugin asks for permissions that need consent',
    retryable: false,
  },
  'state.conflict': { status: 409, title: 'Conflict', retryable: false },
  'idempotency.key_reused': {
    status: 409,
    title: 'The idempotency key was used for another request',
    retryable: false,
  },
  'precondition.failed': { status: 412, title: 'The resource has changed', retryable: false },
  // What a run came to, for who was promised its output.
  'execution.failed': { status: 500, title: 'The execution has failed', retryable: false },
  'execution.cancelled': { status: 500, title: 'The execution was cancelled', retryable: false },
  'request.rate_limited': { status: 429, title: 'Too many requests', retryable: true },
  'internal.error': { status: 500, title: 'Internal error', retryable: false },
  'service.unavailable': { status: 503, title: 'Temporarily unavailable', retryable: true },
} as const satisfies Record<string, { status: number; title: string; retryable: boolean }>;

export type AppErrorCode = keyof typeof APP_ERRORS;

/** One problem of the input: where (JSON Pointer, RFC 6901), and what to do about it. */
export interface Problem {
  pointer: string;
  detail: string;
}

export interface AppErrorOptions {
  cause?: unknown;
  /** For bad input: every problem at once. */
  errors?: Problem[];
  /** Further members of the problem document (RFC 9457, section 3.2). */
  extensions?: Record<string, JsonValue>;
}

/** The one error that services throw; a filter writes it as application/problem+json. */
export class AppError extends Error {
  readonly errors: Problem[] | undefined;
  readonly extensions: Record<string, JsonValue>;

  constructor(
    readonly code: AppErrorCode,
    readonly detail: string,
    options: AppErrorOptions = {},
  ) {
    super(detail, { cause: options.cause });
    this.name = 'AppError';
    this.errors = options.errors;
    this.extensions = options.extensions ?? {};
  }
}

/** What stops the host from starting. Its message is one line that says what to do. */
export class StartupError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'StartupError';
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
