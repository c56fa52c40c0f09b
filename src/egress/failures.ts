import { HostCallError } from '../sandbox/sandbox.js';
import type { Deadline } from './deadline.js';
import { errorCode } from './error-code.js';

/**
 * Turns whatever went wrong while sending into the one error that a plugin may see. Messages of
 * libraries and of the system stay behind: they hold addresses and paths. `details.sent` is false
 * when the far end can't have seen the request, so that sending it again is harmless.
 * @param call.hasSent whether the request, or one that was redirected to it, began to be written
 */
export function toHostCallError(
  error: unknown,
  call: { host: string; deadline: Deadline; hasSent: boolean },
): HostCallError {
  const { host, deadline, hasSent: sent } = call;
  if (error instanceof HostCallError) {
    if (!sent || error.details?.sent !== false) return error;
    // Refused on the way to the next host, after an earlier one had seen the request.
    return new HostCallError(error.code, error.message, { ...error.details, sent: true });
  }
  const code = errorCode(error);
  if (deadline.ended === 'timed_out') {
    const message = `"${host}" did not answer within ${String(deadline.timeoutMs)} ms`;
    return new HostCallError('egress.timed_out', message, { reason: 'deadline', sent });
  }
  if (deadline.ended === 'cancelled') {
    return new HostCallError('egress.failed', `the request to "${host}" was cancelled`, {
      reason: 'cancelled',
      sent,
    });
  }
  const known = KNOWN_FAILURES.get(code);
  if (known !== undefined) {
    return new HostCallError(known.code, known.message(host), { reason: known.reason, sent });
  }
  if (TLS_CODE.test(code)) {
    return new HostCallError(
      'egress.failed',
      `the TLS certificate or handshake of "${host}" is not valid (${code})`,
      { reason: 'tls', sent },
    );
  }
  return new HostCallError('egress.failed', `the request to "${host}" failed`, {
    reason: 'network',
    sent,
  });
}

interface KnownFailure {
  code: 'egress.failed' | 'egress.timed_out' | 'egress.response_too_large';
  reason: string;
  message: (host: string) => string;
}

/** Codes of OpenSSL and of node:tls. */
const TLS_CODE =
  /^(?:ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|EPROTO$|HOSTNAME_MISMATCH$)/;

const NOT_FOUND: KnownFailure = {
  code: 'egress.failed',
  reason: 'host_not_found',
  message: (host) => `host "${host}" was not found; check its name`,
};
const UNREACHABLE: KnownFailure = {
  code: 'egress.failed',
  reason: 'unreachable',
  message: (host) => `"${host}" is not reachable`,
};
const CONNECT_TIMEOUT: KnownFailure = {
  code: 'egress.timed_out',
  reason: 'connect_timeout',
  message: (host) => `"${host}" did not accept a connection in time`,
};
const CLOSED: KnownFailure = {
  code: 'egress.failed',
  reason: 'connection_closed',
  message: (host) => `"${host}" closed the connection before it had answered`,
};
const BAD_ANSWER: KnownFailure = {
  code: 'egress.failed',
  reason: 'bad_answer',
  message: (host) => `the answer of "${host}" is not valid HTTP`,
};

const KNOWN_FAILURES = new Map<string, KnownFailure>([
  ['ENOTFOUND', NOT_FOUND],
  [
    'EAI_AGAIN',
    { ...NOT_FOUND, message: (host) => `the name of "${host}" could not be resolved now` },
  ],
  [
    'ECONNREFUSED',
    {
      code: 'egress.failed',
      reason: 'connection_refused',
      message: (host) => `"${host}" refused the connection`,
    },
  ],
  ['EHOSTUNREACH', UNREACHABLE],
  ['ENETUNREACH', UNREACHABLE],
  ['ETIMEDOUT', CONNECT_TIMEOUT],
  ['STEPWELL_CONNECT_TIMEOUT', CONNECT_TIMEOUT],
  ['ECONNRESET', CLOSED],
  ['EPIPE', CLOSED],
  ['UND_ERR_SOCKET', CLOSED],
  [
    'UND_ERR_HEADERS_TIMEOUT',
    {
      code: 'egress.timed_out',
      reason: 'headers_timeout',
      message: (host) => `"${host}" did not begin its answer in time`,
    },
  ],
  [
    'UND_ERR_BODY_TIMEOUT',
    {
      code: 'egress.timed_out',
      reason: 'body_timeout',
      message: (host) => `"${host}" stopped in the middle of its answer`,
    },
  ],
  [
    'UND_ERR_HEADERS_OVERFLOW',
    {
      code: 'egress.response_too_large',
      reason: 'response_headers',
      message: (host) => `the response headers of "${host}" are too large`,
    },
  ],
  [
    'UND_ERR_MAX_ORIGINS_REACHED',
    {
      code: 'egress.failed',
      reason: 'too_many_connections',
      message: (host) => `"${host}" was not called: this tenant is calling too many hosts at once`,
    },
  ],
  ['UND_ERR_RES_CONTENT_LENGTH_MISMATCH', BAD_ANSWER],
  ['UND_ERR_RESPONSE', BAD_ANSWER],
]);
