import { HostCallError } from '../sandbox/sandbox.js';
import type { OutboundRequest } from '../sandbox/sandbox.js';

export type Header = [name: string, value: string];

/** A request as it may be sent: checked, with nothing in it that belongs to the transport. */
export interface RequestHead {
  method: string;
  url: URL;
  headers: Header[];
  body: Uint8Array | null;
}

/**
 * Checks what a plugin asks for and makes it sendable. Nothing about hosts is decided here.
 *
 * Dropped without a word, since ordinary client code sets them and the transport owns them:
 * `connection`, `keep-alive`, `content-length`, `transfer-encoding`, `te`, `trailer`, `upgrade`,
 * `expect`, `accept-encoding`, and a `host` that repeats the URL's. Refused, since a plugin would
 * believe that they had an effect: another `host`, `proxy-*`, `forwarded`, `x-forwarded-*`,
 * `x-real-ip` and `via`. `user-agent` and `accept` get a default.
 * @throws HostCallError `egress.invalid_request`
 */
export function readRequest(request: OutboundRequest, userAgent: string): RequestHead {
  const method = readMethod(request.method);
  const url = readUrl(request.url);
  const headers = readHeaders(request.headers, url);
  const body = request.body === null || request.body.byteLength === 0 ? null : request.body;
  if (body !== null && (method === 'GET' || method === 'HEAD')) {
    throw invalid(`a ${method} request has no body; use POST, PUT or PATCH to send one`);
  }
  if (!hasHeader(headers, 'user-agent')) headers.push(['user-agent', userAgent]);
  if (!hasHeader(headers, 'accept')) headers.push(['accept', '*/*']);
  return { method, url, headers, body };
}

/** Whether a header may be set by anyone but the transport, whatever its value. */
export function isSettableHeader(name: string): boolean {
  const lower = name.toLowerCase();
  return (
    TOKEN.test(lower) && lower !== 'host' && !TRANSPORT_HEADERS.has(lower) && !isRefused(lower)
  );
}

/** Visible Latin-1, space and tab: no CR, LF, NUL or other control (RFC 9110, 5.5). */
export function isHeaderValue(text: string): boolean {
  return FIELD_VALUE.test(text);
}

const MAX_URL_LENGTH = 16 * 1024;
const MAX_HEADERS = 100;
const MAX_HEADER_BYTES = 16 * 1024;
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/;
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

const TRANSPORT_HEADERS = new Set([
  'connection',
  'keep-alive',
  'content-length',
  'transfer-encoding',
  'te',
  'trailer',
  'upgrade',
  'expect',
  'accept-encoding',
]);
const REFUSED_HEADERS = new Set(['forwarded', 'x-real-ip', 'via']);
const REFUSED_PREFIXES = ['proxy-', 'x-forwarded-'];
const REFUSED_METHODS = new Set(['CONNECT', 'TRACE', 'TRACK']);
/** Methods that fetch writes in capitals (WHATWG Fetch, "normalize a method"), and PATCH. */
const USUAL_METHODS = new Set(['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT']);

function readMethod(text: string): string {
  const upper = text.toUpperCase();
  const method = USUAL_METHODS.has(upper) ? upper : text;
  if (!TOKEN.test(method) || method.length > 32) throw invalid('the method is not an HTTP method');
  if (REFUSED_METHODS.has(upper)) throw invalid(`method ${upper} is not allowed`);
  return method;
}

function readUrl(text: string): URL {
  if (text.length > MAX_URL_LENGTH) {
    throw invalid(`the URL is longer than ${String(MAX_URL_LENGTH)} characters`);
  }
  const url = URL.parse(text);
  if (url === null)
    throw invalid('the URL is not valid; write it in full, such as https://api.example.com/v1');
  return url;
}

function readHeaders(headers: readonly Header[], url: URL): Header[] {
  if (headers.length > MAX_HEADERS)
    throw invalid(`more than ${String(MAX_HEADERS)} request headers`);
  let bytes = 0;
  const kept: Header[] = [];
  for (const [rawName, rawValue] of headers) {
    const name = rawName.toLowerCase();
    if (!TOKEN.test(name)) throw invalid('a header name holds characters that HTTP does not allow');
    const value = rawValue.trim();
    if (!isHeaderValue(value)) {
      throw invalid(
        `header "${name}" holds a line break, a control character or a character beyond Latin-1`,
      );
    }
    bytes += name.length + value.length;
    if (bytes > MAX_HEADER_BYTES) {
      throw invalid(`the request headers are larger than ${String(MAX_HEADER_BYTES)} bytes`);
    }
    if (isSendable(name, value, url)) kept.push([name, value]);
  }
  return kept;
}

function isSendable(name: string, value: string, url: URL): boolean {
  if (TRANSPORT_HEADERS.has(name)) return false;
  if (name === 'host') {
    if (value.toLowerCase() === url.host) return false;
    throw invalid('header "host" differs from the host of the URL; put the host in the URL');
  }
  if (isRefused(name)) {
    throw invalid(`header "${name}" may not be set`);
  }
  return true;
}

function isRefused(name: string): boolean {
  return REFUSED_HEADERS.has(name) || REFUSED_PREFIXES.some((prefix) => name.startsWith(prefix));
}

function hasHeader(headers: readonly Header[], name: string): boolean {
  return headers.some(([each]) => each === name);
}

function invalid(message: string): HostCallError {
  return new HostCallError('egress.invalid_request', message, { sent: false });
}
