import { randomBytes } from 'node:crypto';

export const MAX_WEBHOOK_PATH_CHARS = 200;

/** 192 bits: nobody guesses it. */
const RANDOM_BYTES = 24;

/** Unreserved characters (RFC 3986, section 2.3), which no client and no proxy writes another way. */
const SEGMENTS = /^[A-Za-z0-9._~-]+(?:\/[A-Za-z0-9._~-]+)*$/;

/** Whether such a path can be a webhook's: segments joined by `/`, none of them `.` or `..`. */
export function isWebhookPath(path: string): boolean {
  return (
    path.length <= MAX_WEBHOOK_PATH_CHARS &&
    SEGMENTS.test(path) &&
    // Clients resolve these before they send anything (RFC 3986, section 5.2.4).
    !path.split('/').some((segment) => segment === '.' || segment === '..')
  );
}

export function makeWebhookPath(): string {
  return randomBytes(RANDOM_BYTES).toString('base64url');
}
