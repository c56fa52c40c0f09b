import { HostCallError } from '../sandbox/sandbox.js';
import { denied } from './destination.js';
import type { Header, RequestHead } from './request-head.js';

/** Where an answer redirects to, as its Location header says; null when it doesn't redirect. */
export function readRedirect(status: number, headers: readonly Header[]): string | null {
  if (!REDIRECT_STATUSES.has(status)) return null;
  return headers.find(([name]) => name === 'location')?.[1] ?? null;
}

/**
 * The request that a redirect leads to (WHATWG Fetch, "HTTP-redirect fetch"). 303 becomes GET, and
 * so do 301 and 302 after POST; the body and what describes it are then left out. Towards another
 * origin only headers that can't hold a secret go along (fetch itself would forward `x-api-key`),
 * and a body isn't sent again.
 * @throws HostCallError `egress.denied` when a body would go to another origin, `egress.failed`
 *   when the Location isn't a URL
 */
export function followRedirect(
  request: RequestHead,
  redirect: { status: number; location: string; dropsHeaders: boolean },
): RequestHead {
  const url = URL.parse(redirect.location, request.url.href);
  if (url === null) {
    throw new HostCallError(
      'egress.failed',
      `"${request.url.hostname}" redirects to something that is not a URL`,
      { reason: 'redirect', sent: true },
    );
  }
  if (url.hash === '') url.hash = request.url.hash;
  const isSameOrigin = url.origin === request.url.origin;
  const becomesGet =
    (redirect.status === 303 && request.method !== 'GET' && request.method !== 'HEAD') ||
    ((redirect.status === 301 || redirect.status === 302) && request.method === 'POST');
  if (!becomesGet && request.body !== null && !isSameOrigin) {
    throw denied(
      'redirect',
      `"${request.url.hostname}" redirects a ${request.method} with a body to "${url.hostname}"; the body is not sent to another origin`,
    );
  }
  let headers = request.headers;
  if (becomesGet) headers = headers.filter(([name]) => !BODY_HEADERS.has(name));
  if (!isSameOrigin && redirect.dropsHeaders) {
    headers = headers.filter(([name]) => HARMLESS_HEADERS.has(name));
  }
  return becomesGet ? { method: 'GET', url, headers, body: null } : { ...request, url, headers };
}

const REDIRECT_STATUSES = new Set([301, 302, 303, 307, 308]);
const BODY_HEADERS = new Set([
  'content-encoding',
  'content-language',
  'content-location',
  'content-type',
]);

/** A list of what may pass, since any other header may be some provider's way to carry a key. */
const HARMLESS_HEADERS = new Set([
  'accept',
  'accept-language',
  'content-language',
  'content-type',
  'range',
  'user-agent',
]);
