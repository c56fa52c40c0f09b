import type { JsonObject } from './manifest.js';
import type { PluginFault } from './runtime.js';

/**
 * An error that tells the host what kind of failure it is. Anything else that a plugin throws is
 * reported as `plugin.threw` and isn't retried unless the action's effects allow it.
 */
export abstract class PluginError extends Error {
  /** What the host reads; an own property, since classes don't survive the wall. */
  readonly stepwell: PluginFault;

  constructor(message: string, fault: PluginFault, options?: { cause?: unknown }) {
    super(message, options);
    this.stepwell = fault;
  }
}

/** How a PluginError is made beside its message. */
export interface PluginErrorOptions {
  /** Facts for people and plans to branch on; shown in the step's result. */
  details?: JsonObject;
  cause?: unknown;
}

/** The provider refused the credential (401, 403): retrying with the same one is pointless. */
export class AuthError extends PluginError {
  override readonly name = 'AuthError';

  constructor(message: string, options: PluginErrorOptions = {}) {
    super(message, fault('provider.auth_failed', false, options.details), options);
  }
}

/** The provider asks for fewer calls (429). */
export class RateLimited extends PluginError {
  override readonly name = 'RateLimited';

  /** @param options.retryAfterMs how long the provider wants to be left alone, milliseconds */
  constructor(message: string, options: PluginErrorOptions & { retryAfterMs?: number } = {}) {
    const wait = options.retryAfterMs;
    const details =
      wait === undefined ? options.details : { ...options.details, retry_after_ms: wait };
    super(message, fault('provider.rate_limited', true, details), options);
  }
}

/**
 * The provider failed in a way that may pass, and has not done the work: the step is sent again.
 * Where it may have done it (a 502, a time-out), say so with `details: { outcome: 'unknown' }`; the
 * action's effects and idempotency then decide, as they do for what `ctx.http` throws by itself.
 */
export class Retryable extends PluginError {
  override readonly name = 'Retryable';

  constructor(message: string, options: PluginErrorOptions = {}) {
    super(message, fault('provider.unavailable', true, options.details), options);
  }
}

/** The provider refused the request and will refuse it again (other 4xx). */
export class Permanent extends PluginError {
  override readonly name = 'Permanent';

  constructor(message: string, options: PluginErrorOptions = {}) {
    super(message, fault('provider.rejected', false, options.details), options);
  }
}

/** The input of the step is wrong in a way that its schema can't express. */
export class InvalidInput extends PluginError {
  override readonly name = 'InvalidInput';

  /** @param options.pointer JSON Pointer (RFC 6901) to the wrong value in the input, such as `/channel` */
  constructor(message: string, options: PluginErrorOptions & { pointer?: string } = {}) {
    const { pointer } = options;
    const details = pointer === undefined ? options.details : { ...options.details, pointer };
    super(message, fault('input.invalid', false, details), options);
  }
}

/** What the provider takes or gives is larger than the plugin can handle. */
export class TooLarge extends PluginError {
  override readonly name = 'TooLarge';

  constructor(message: string, options: PluginErrorOptions = {}) {
    super(message, fault('provider.too_large', false, options.details), options);
  }
}

/** The plugin's own mistake: `run` returned what its schema forbids. Thrown by the SDK alone. */
export class InvalidOutput extends PluginError {
  override readonly name = 'InvalidOutput';

  constructor(message: string) {
    super(message, fault('plugin.output_invalid', false, undefined));
  }
}

function fault(
  code: PluginFault['code'],
  retryable: boolean,
  details: JsonObject | undefined,
): PluginFault {
  return details === undefined ? { code, retryable } : { code, retryable, details };
}
