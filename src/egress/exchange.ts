import type { Dispatcher } from 'undici';

import { HostCallError } from '../sandbox/sandbox.js';
import type { OutboundResponse } from '../sandbox/sandbox.js';
import { rejectedBy } from './deadline.js';
import type { Header, RequestHead } from './request-head.js';
import { ACCEPTED_ENCODINGS, assertAnnouncedLength, readBody } from './response-body.js';

/** A request that was sent and whose answer has begun: read it or discard it, one of the two. */
export interface Exchange {
  status: number;
  /** Names in lower case; what belongs to the connection is left out. */
  headers: Header[];
  /** @param options.asked the URL to show: what was sent may hold a secret in its query */
  read(options: { limitBytes: number; redirected: boolean; asked: URL }): Promise<OutboundResponse>;
  discard(): void;
}

/**
 * Sends one request over a tenant's agent; rejects with whatever undici or the connector say.
 * @param call.onSend called when the first byte is about to be written to a server
 */
export async function openExchange(
  agent: Dispatcher,
  head: RequestHead,
  call: { signal: AbortSignal; onSend: () => void },
): Promise<Exchange> {
  const { url, method } = head;
  const requested = agent.compose(tellStart(call)).request({
    origin: url.origin,
    path: `${url.pathname}${url.search}`,
    method,
    headers: [...head.headers.flat(), 'accept-encoding', ACCEPTED_ENCODINGS],
    body: head.body,
    signal: call.signal,
    responseHeaders: 'raw',
  });
  // undici heeds the signal only once a connection is there; then it drops the request unsent.
  const answer = await Promise.race([requested, rejectedBy(call.signal)]);
  const { statusCode: status, statusText, body } = answer;
  // A body that is cut off emits an error, also when nobody reads it any more.
  body.on('error', ignoreCut);
  const received = pairs(answer.headers);
  if (received.length > MAX_RESPONSE_HEADERS) {
    body.destroy();
    throw new HostCallError(
      'egress.response_too_large',
      `"${url.hostname}" sent more than ${String(MAX_RESPONSE_HEADERS)} response headers`,
      { reason: 'response_headers', sent: true },
    );
  }
  const kept = received.filter(([name]) => !CONNECTION_HEADERS.has(name));
  return {
    status,
    headers: kept,
    discard: () => {
      body.destroy();
    },
    async read({ limitBytes, redirected, asked }) {
      const host = url.hostname;
      const hasBody = method !== 'HEAD' && status !== 204 && status !== 304;
      try {
        if (hasBody)
          assertAnnouncedLength(valueOf(received, 'content-length'), { limitBytes, host });
        const encoding = hasBody ? (valueOf(received, 'content-encoding') ?? '') : '';
        const { body: bytes, isDecoded } = await readBody(body, { encoding, limitBytes, host });
        const headers = isDecoded ? kept.filter(([name]) => !ENCODING_HEADERS.has(name)) : kept;
        const shownUrl = new URL(asked);
        shownUrl.hash = '';
        return { status, statusText, url: shownUrl.href, redirected, headers, body: bytes };
      } catch (error) {
        // Not when all went well: that would close a connection that can be used again.
        body.destroy();
        throw error;
      }
    },
  };
}

/** undici starts a request when it has a connection for it, and then writes it at once. */
function tellStart(call: {
  signal: AbortSignal;
  onSend: () => void;
}): Dispatcher.DispatcherComposeInterceptor {
  return (dispatch) => (options, handler) => {
    const start = handler.onRequestStart?.bind(handler);
    handler.onRequestStart = (controller, context: unknown) => {
      if (!call.signal.aborted) call.onSend();
      start?.(controller, context);
    };
    return dispatch(options, handler);
  };
}

const MAX_RESPONSE_HEADERS = 200;

/** Said of the connection, not of the answer (RFC 9110, 7.6.1). */
const CONNECTION_HEADERS = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'te',
  'trailer',
  'upgrade',
]);

/** No longer true once the body is decompressed. */
const ENCODING_HEADERS = new Set(['content-encoding', 'content-length']);

/** With `responseHeaders: 'raw'` undici gives names and values by turns, whatever its types say. */
function pairs(raw: unknown): Header[] {
  const texts: unknown[] = Array.isArray(raw) ? raw : [];
  const headers: Header[] = [];
  for (let i = 0; i + 1 < texts.length; i += 2) {
    headers.push([String(texts[i]).toLowerCase(), String(texts[i + 1])]);
  }
  return headers;
}

/** All values of a header, joined as HTTP allows. */
function valueOf(headers: readonly Header[], name: string): string | undefined {
  const values = headers.filter(([each]) => each === name).map(([, value]) => value);
  return values.length === 0 ? undefined : values.join(', ');
}

function ignoreCut(): void {
  // The reader, if any, sees the same error.
}
