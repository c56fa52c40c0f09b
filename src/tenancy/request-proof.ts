import type { FastifyRequest } from 'fastify';

/** What a request shows of who sent it. */
export type RequestProof =
  | { kind: 'api_key'; key: string }
  | { kind: 'session'; token: string; sentBy: 'header' | 'cookie' };

export const SESSION_COOKIE = 'token';

/**
 * `X-API-Key: <key>`, `Authorization: ApiKey <key>`, `Authorization: Bearer <session token>` or the
 * cookie `token`, in this order: the first one counts, also when it is wrong. A browser adds the
 * cookie by itself; what a program says in a header was said on purpose. Other schemes, such as the
 * Basic of a proxy in front, are none of ours.
 */
export function readProof(request: FastifyRequest): RequestProof | null {
  const header = request.headers['x-api-key'];
  if (typeof header === 'string' && header !== '') return { kind: 'api_key', key: header };
  const match = /^(ApiKey|Bearer)(?:\s+(.*))?$/i.exec(request.headers.authorization ?? '');
  if (match) {
    const [, scheme = '', value = ''] = match;
    return scheme.toLowerCase() === 'apikey'
      ? { kind: 'api_key', key: value }
      : { kind: 'session', token: value, sentBy: 'header' };
  }
  const token = request.cookies[SESSION_COOKIE];
  return token === undefined || token === '' ? null : { kind: 'session', token, sentBy: 'cookie' };
}

/** Methods that change nothing (RFC 9110, section 9.2.1). */
export function isSafeMethod(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS';
}

/**
 * Whether a page of this host sent it: `Origin` (RFC 6454) is the origin that the request came to,
 * as trusted proxies tell it. Browsers send it with every request that may change something.
 */
export function isOfOwnOrigin(request: FastifyRequest): boolean {
  const { origin } = request.headers;
  const own = `${request.protocol}://${request.host}`;
  // `null` is what browsers send for what has no origin, and what URL calls that of odd schemes.
  if (origin === undefined || origin === 'null' || !URL.canParse(own)) return false;
  return origin.toLowerCase() === new URL(own).origin;
}
