import { AuthError, Permanent, type PluginError, RateLimited, Retryable } from './errors.js';
import { excerpt, type HttpReply } from './http-response.js';

/** The typed error for an answer that isn't a success; its message holds status and start of the body. */
export async function statusError(reply: HttpReply, nowMs: number): Promise<PluginError> {
  const { status } = reply;
  const body = excerpt(await reply.text());
  const message = `${reply.label} answered ${String(status)}${body === '' ? '' : `: ${body}`}`;
  const options = { details: { status } };
  const retryAfterMs = parseRetryAfter(reply.headers.get('retry-after'), nowMs);
  if (status === 401 || status === 403) return new AuthError(message, options);
  if (status === 429) {
    return new RateLimited(
      message,
      retryAfterMs === undefined ? options : { ...options, retryAfterMs },
    );
  }
  if (status === 408 || status >= 500) {
    // Who asks to be tried again has not done the work; anyone else may have, and died over it.
    const outcome =
      retryAfterMs === undefined ? { outcome: 'unknown' } : { retry_after_ms: retryAfterMs };
    return new Retryable(message, { details: { status, ...outcome } });
  }
  return new Permanent(message, options);
}

/**
 * Retry-After (RFC 9110, 10.2.3): delay in seconds or an HTTP date.
 * @returns milliseconds from `nowMs`, never negative; undefined when absent or malformed
 */
export function parseRetryAfter(value: string | null, nowMs: number): number | undefined {
  const text = value?.trim() ?? '';
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  // Date.parse takes bare numbers and local forms, too; an HTTP date names its day and GMT.
  if (!/^[A-Z][a-z]{2,8},? .+ GMT$/.test(text)) return undefined;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}
