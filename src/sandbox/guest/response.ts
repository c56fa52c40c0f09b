import type { HttpAnswer } from './bridge.js';
import { Body, readBodyInit } from './body.js';
import { Headers } from './headers.js';

export interface ResponseInit {
  status?: number;
  statusText?: string;
  headers?: unknown;
}

/** Fetch Response. The whole body is there when the response is. */
export class Response extends Body {
  readonly status: number;
  readonly statusText: string;
  readonly headers: Headers;
  readonly url: string;
  readonly redirected: boolean;
  readonly type: string = 'default';

  constructor(body?: unknown, init: ResponseInit = {}, answer?: HttpAnswer) {
    const source =
      answer === undefined ? readBodyInit(body) : { binary: answer.body, contentType: null };
    super(source === null ? null : source.binary);
    const status = answer?.status ?? init.status ?? 200;
    if (answer === undefined && !(status >= 200 && status <= 599)) {
      throw new RangeError('status must be from 200 to 599');
    }
    this.status = status;
    this.statusText = answer?.statusText ?? init.statusText ?? '';
    this.headers = new Headers(answer === undefined ? init.headers : undefined);
    if (source !== null && source.contentType !== null && !this.headers.has('content-type')) {
      this.headers.set('content-type', source.contentType);
    }
    if (answer !== undefined) receive(this.headers, answer.headers);
    this.url = answer?.url ?? '';
    this.redirected = answer?.redirected ?? false;
  }

  static json(data: unknown, init: ResponseInit = {}): Response {
    const headers = new Headers(init.headers);
    if (!headers.has('content-type')) headers.set('content-type', 'application/json');
    return new Response(JSON.stringify(data), { ...init, headers });
  }

  get ok(): boolean {
    return this.status >= 200 && this.status <= 299;
  }

  clone(): Response {
    const binary = this.peek();
    const { status, statusText, url, redirected, headers } = this;
    const answer = {
      status,
      statusText,
      url,
      redirected,
      headers: [...headers],
      body: binary ?? '',
    };
    return new Response(undefined, {}, answer);
  }
}

/** What a server sent is taken as it is, except what no Headers object can hold. */
function receive(headers: Headers, pairs: [string, string][]): void {
  for (const [name, value] of pairs) {
    const clean = value.replace(/[^\t\u0020-\u007e\u0080-\u00ff]/g, '?');
    if (/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name)) headers.append(name, clean);
  }
}
