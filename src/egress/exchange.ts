import type { Dispatcher } from 'undici';

import { HostCallError } from '../sandbox/sandbox.js';
import type { OutboundResponse } from '../sandbox/sandbox.js';
import { AnswerReceiver } from './answer-receiver.js';
import type { Header, RequestHead } from './request-head.js';
import { ACCEPTED_ENCODINGS, assertAnnouncedLength, decodeBody } from './response-body.js';

/** A request that was sent and whose answer has begun: read it or discard it, one of the two. */
export interface Exchange {
  status: number;
  /** Names in lower case; what belongs to the connection is left out. */
  headers: Header[];
  /** @param options.asked the URL to show: what was sent may hold a secret in its query */
  read(options: { redirected: boolean; asked: URL }): Promise<OutboundResponse>;
  discard(): void;
}

/**
 * Sends one request over a tenant's agent; rejects with whatever undici or the connector say.
 * @param call.onSend called when the first byte is about to be written to a server
 * @param call.limitBytes of the body, as received and again as decompressed
 */
export async function openExchange(
  agent: Dispatcher,
  head: RequestHead,
  call: { signal: AbortSignal; onSend: () => void; limitBytes: number },
): Promise<Exchange> {
  const { url, method } = head;
  const { limitBytes } = call;
  const host = url.hostname;
  const receiver = new AnswerReceiver({ ...call, host });
  dispatch(agent, head, receiver);
  const { status, statusText, headers: received } = await receiver.head;
  const discard = (): void => {
    receiver.fail(new Error('discarded'));
  };
  if (received.length > MAX_RESPONSE_HEADERS) {
    discard();
    throw new HostCallError(
      'egress.response_too_large',
      `"${host}" sent more than ${String(MAX_RESPONSE_HEADERS)} response headers`,
      { reason: 'response_headers', sent: true },
    );
  }
  const kept = received.filter(([name]) => !CONNECTION_HEADERS.has(name));
  return {
    status,
    headers: kept,
    discard,
    async read({ redirected, asked }) {
      const hasBody = method !== 'HEAD' && status !== 204 && status !== 304;
      try {
        if (hasBody)
          assertAnnouncedLength(valueOf(received, 'content-length'), { limitBytes, host });
        const encoding = hasBody ? (valueOf(received, 'content-encoding') ?? '') : '';
        const bytes = await receiver.body;
        const { body, isDecoded } = await decodeBody(bytes, { encoding, limitBytes, host });
        const headers = isDecoded ? kept.filter(([name]) => !ENCODING_HEADERS.has(name)) : kept;
        return { status, statusText, url: withoutFragment(asked), redirected, headers, body };
      } catch (error) {
        discard();
        throw error;
      }
    },
  };
}

function dispatch(
  agent: Dispatcher,
  { url, method, headers, body }: RequestHead,
  receiver: AnswerReceiver,
): void {
  try {
    agent.dispatch(
      {
        origin: url.origin,
        path: `${url.pathname}${url.search}`,
        method,
        headers: [...headers.flat(), 'accept-encoding', ACCEPTED_ENCODINGS],
        body,
      },
      receiver,
    );
  } catch (error) {
    receiver.fail(error instanceof Error ? error : new Error(String(error)));
  }
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

/** All values of a header, joined as HTTP allows. */
function valueOf(headers: readonly Header[], name: string): string | undefined {
  const values = headers.filter(([each]) => each === name).map(([, value]) => value);
  return values.length === 0 ? undefined : values.join(', ');
}

/** A fragment is never sent; in a parsed URL the first "#" begins it. */
function withoutFragment({ href }: URL): string {
  const at = href.indexOf('#');
  return at < 0 ? href : href.slice(0, at);
}
