import { AbortSignal, newSignal } from './abort.js';
import { Body, readBodyInit } from './body.js';
import { Headers } from './headers.js';
import { URL } from './url.js';
import { toText } from './primordials.js';

export type RedirectMode = 'follow' | 'manual' | 'error';

export interface RequestInit {
  method?: string;
  headers?: unknown;
  body?: unknown;
  redirect?: RedirectMode;
  signal?: AbortSignal | null;
}

/** Fetch Request, as far as a server-side client needs it: no mode, cache, credentials or streams. */
export class Request extends Body {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
  readonly redirect: RedirectMode;
  readonly signal: AbortSignal;

  constructor(input: string | URL | Request, init: RequestInit = {}) {
    const from = input instanceof Request ? input : null;
    const method = normalMethod(init.method ?? from?.method ?? 'GET');
    const body = readBodyInit(init.body);
    const binary =
      body === null && init.body === undefined && from !== null
        ? from.peek()
        : (body?.binary ?? null);
    if (binary !== null && (method === 'GET' || method === 'HEAD')) {
      throw new TypeError(`A ${method} request has no body`);
    }
    super(binary);
    this.method = method;
    this.url = from === null ? new URL(input as string | URL).href : from.url;
    this.headers = new Headers(init.headers ?? from?.headers);
    if (body !== null && body.contentType !== null && !this.headers.has('content-type')) {
      this.headers.set('content-type', body.contentType);
    }
    this.redirect = redirectMode(init.redirect ?? from?.redirect ?? 'follow');
    this.signal = init.signal ?? from?.signal ?? newSignal();
  }

  clone(): Request {
    return new Request(this);
  }

  /** The body for the bridge; the request counts as used afterwards only when it had one. */
  static bodyOf(request: Request): string | null {
    return request.peek();
  }
}

function normalMethod(method: string): string {
  const text = toText(method);
  const upper = text.toUpperCase();
  if (
    !/^[A-Za-z-]{1,32}$/.test(text) ||
    upper === 'CONNECT' ||
    upper === 'TRACE' ||
    upper === 'TRACK'
  ) {
    throw new TypeError(`Invalid request method: ${text.slice(0, 32)}`);
  }
  return STANDARD_METHODS.includes(upper) ? upper : text;
}

function redirectMode(mode: string): RedirectMode {
  if (mode !== 'follow' && mode !== 'manual' && mode !== 'error') {
    throw new TypeError('redirect must be "follow", "manual" or "error"');
  }
  return mode;
}

const STANDARD_METHODS = ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT'];
