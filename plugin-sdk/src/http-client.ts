import { Retryable } from './errors.js';
import { statusError } from './http-errors.js';
import { HttpReply, type HttpResponse } from './http-response.js';

/** `ctx.http`: requests to the hosts that the plugin declared; credentials are placed by the host. */
export interface HttpClient {
  get(url: string | URL, options?: HttpOptions): Promise<HttpResponse>;
  post(url: string | URL, options?: HttpOptions): Promise<HttpResponse>;
  put(url: string | URL, options?: HttpOptions): Promise<HttpResponse>;
  patch(url: string | URL, options?: HttpOptions): Promise<HttpResponse>;
  delete(url: string | URL, options?: HttpOptions): Promise<HttpResponse>;
  /**
   * @param options.method any HTTP method; default GET
   * @throws AuthError (401, 403), RateLimited (429), Retryable (408, 5xx) or Permanent (any other
   *   status outside 200-299), unless `throwOnError` is false; Retryable when `timeoutMs` is over;
   *   whatever `fetch` rejects with, when the host refuses the request or gets no answer
   */
  request(url: string | URL, options?: HttpOptions & { method?: string }): Promise<HttpResponse>;
}

/** What a request carries; at most one of `json`, `form` and `body`. */
export interface HttpOptions {
  /** Added to the query of the URL; lists repeat the name, null and undefined are left out. */
  query?: Record<string, QueryValue | readonly QueryValue[]>;
  /** Undefined values are left out. */
  headers?: Record<string, string | undefined>;
  /** Sent as application/json. */
  json?: unknown;
  /** Sent as application/x-www-form-urlencoded. */
  form?: Record<string, QueryValue | readonly QueryValue[]>;
  /** Sent as it is; name its `content-type` in `headers`. */
  body?: string | Uint8Array;
  /** Time for the answer, milliseconds; the limits of the step hold in any case. */
  timeoutMs?: number;
  /** Default `follow`. */
  redirect?: 'follow' | 'manual' | 'error';
  /** Default true: a status outside 200-299 throws. */
  throwOnError?: boolean;
}

/** A value of a query or a form. */
export type QueryValue = string | number | boolean | null | undefined;

/**
 * The client over the isolate's `fetch`.
 * @param call.signal aborts each request when the step ends
 * @param call.now the clock that HTTP dates in Retry-After are measured against
 */
export function createHttpClient(call: { signal: AbortSignal; now: () => number }): HttpClient {
  const request: HttpClient['request'] = async (url, options = {}) => {
    const method = (options.method ?? 'GET').toUpperCase();
    const target = withQuery(url, options.query);
    const { timeoutMs } = options;
    const timeout = timeoutMs === undefined ? null : AbortSignal.timeout(timeoutMs);
    const label = `${method} ${target.origin}${target.pathname}`;
    let response: Response;
    try {
      response = await fetch(target, {
        method,
        ...encodeBody(options),
        redirect: options.redirect ?? 'follow',
        signal: timeout === null ? call.signal : AbortSignal.any([call.signal, timeout]),
      });
    } catch (cause) {
      // Any other failure is the host's, which knows it by itself.
      if (timeout?.aborted !== true || call.signal.aborted) throw cause;
      throw new Retryable(`${label} gave no answer within ${String(timeoutMs)} ms`, {
        cause,
        details: { outcome: 'unknown' },
      });
    }
    const reply = new HttpReply(label, response);
    if (reply.ok || options.throwOnError === false) return reply;
    throw await statusError(reply, call.now());
  };
  return {
    request,
    get: (url, options) => request(url, { ...options, method: 'GET' }),
    post: (url, options) => request(url, { ...options, method: 'POST' }),
    put: (url, options) => request(url, { ...options, method: 'PUT' }),
    patch: (url, options) => request(url, { ...options, method: 'PATCH' }),
    delete: (url, options) => request(url, { ...options, method: 'DELETE' }),
  };
}

function withQuery(url: string | URL, query: HttpOptions['query']): URL {
  const target = new URL(url);
  for (const [name, value] of pairs(query ?? {})) target.searchParams.append(name, value);
  return target;
}

function encodeBody(options: HttpOptions): { headers: Headers; body?: string | Uint8Array } {
  const given = (['json', 'form', 'body'] as const).filter((name) => options[name] !== undefined);
  if (given.length > 1) {
    throw new TypeError(`give only one of ${given.join(', ')}: a request has one body`);
  }
  const headers = new Headers();
  for (const [name, value] of Object.entries(options.headers ?? {})) {
    if (value !== undefined) headers.set(name, value);
  }
  if (options.json !== undefined) {
    if (!headers.has('content-type')) headers.set('content-type', 'application/json');
    return { headers, body: JSON.stringify(options.json) };
  }
  if (options.form !== undefined) {
    if (!headers.has('content-type')) {
      headers.set('content-type', 'application/x-www-form-urlencoded;charset=UTF-8');
    }
    return { headers, body: new URLSearchParams(pairs(options.form)).toString() };
  }
  return options.body === undefined ? { headers } : { headers, body: options.body };
}

function pairs(values: Record<string, QueryValue | readonly QueryValue[]>): [string, string][] {
  return Object.entries(values).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value])
      .filter((item) => item !== null && item !== undefined)
      .map((item): [string, string] => [name, String(item)]),
  );
}
