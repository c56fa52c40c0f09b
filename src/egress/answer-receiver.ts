import type { Dispatcher } from 'undici';

import { tooLarge } from './response-body.js';
import type { Header } from './request-head.js';

/** Each piece costs some 130 bytes beside its own: 5 MiB that come byte by byte would take 700 MB. */
const MAX_PIECES = 256;

/** What stands before the body of an answer. */
export interface AnswerHead {
  readonly status: number;
  readonly statusText: string;
  /** Names in lower case. */
  readonly headers: Header[];
}

/**
 * Takes one answer from undici as it comes in: its head first, then its body, counted against the
 * limit piece by piece. It is undici's own handler, without the streams that its `request` puts in
 * between, which take longer than all that egress checks.
 */
export class AnswerReceiver implements Dispatcher.DispatchHandler {
  readonly #call: ReceiverOptions;
  readonly #head = Promise.withResolvers<AnswerHead>();
  readonly #body = Promise.withResolvers<Buffer>();
  #controller: Dispatcher.DispatchController | null = null;
  /** The last of the body, in the pieces that it came in, after the `#gathered` ones. */
  #pieces: Buffer[] = [];
  #gathered: Buffer[] = [];
  #bytes = 0;
  #isOver = false;
  #failure: Error | null = null;

  constructor(call: ReceiverOptions) {
    this.#call = call;
    // Of an answer that was discarded, nobody asks for the body.
    this.#body.promise.catch(ignoreCut);
    if (call.signal.aborted) this.#abort();
    else call.signal.addEventListener('abort', this.#abort, { once: true });
  }

  /** Rejects with the reason of the signal, or with whatever undici or the connector say. */
  get head(): Promise<AnswerHead> {
    return this.#head.promise;
  }

  /** The whole body as received. Rejects likewise, and when it is larger than the limit. */
  get body(): Promise<Buffer> {
    return this.#body.promise;
  }

  /** Ends the exchange. The connection is cut, unless the answer was complete. */
  fail(error: Error): void {
    if (this.#isOver) return;
    this.#close();
    this.#failure = error;
    this.#drop();
    this.#controller?.abort(error);
    this.#head.reject(error);
    this.#body.reject(error);
  }

  /** undici starts a request when it has a connection for it, and then writes it at once. */
  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    // It heeds no signal while it has no connection; now the request is dropped unsent.
    if (this.#failure !== null) controller.abort(this.#failure);
    else this.#call.onSend();
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    statusText = '',
  ): void {
    const isInterim = status < 200;
    if (isInterim) return;
    this.#head.resolve({ status, statusText, headers: pairs(controller.rawHeaders) });
  }

  onResponseData(_controller: unknown, piece: Buffer): void {
    if (this.#isOver) return;
    this.#bytes += piece.length;
    if (this.#bytes > this.#call.limitBytes) {
      this.fail(tooLarge(this.#call));
      return;
    }
    this.#pieces.push(piece);
    if (this.#pieces.length < MAX_PIECES) return;
    this.#gathered.push(Buffer.concat(this.#pieces));
    this.#pieces = [];
  }

  onResponseEnd(): void {
    if (this.#isOver) return;
    this.#close();
    const pieces = [...this.#gathered, ...this.#pieces];
    const [first] = pieces;
    const isOnePiece = first !== undefined && pieces.length === 1;
    this.#body.resolve(isOnePiece ? first : Buffer.concat(pieces, this.#bytes));
    this.#drop();
  }

  onResponseError(_controller: unknown, error: Error): void {
    this.fail(error);
  }

  readonly #abort = (): void => {
    const reason: unknown = this.#call.signal.reason;
    this.fail(reason instanceof Error ? reason : new Error('aborted'));
  };

  #drop(): void {
    this.#pieces = [];
    this.#gathered = [];
  }

  #close(): void {
    this.#isOver = true;
    this.#call.signal.removeEventListener('abort', this.#abort);
  }
}

interface ReceiverOptions {
  signal: AbortSignal;
  /** Called when the first byte is about to be written to a server. */
  onSend: () => void;
  /** Of the body as received. */
  limitBytes: number;
  /** For messages. */
  host: string;
}

/** Names and values by turns, as bytes: a value is read as Latin-1 (RFC 9110, 5.5). */
function pairs(raw: Dispatcher.DispatchController['rawHeaders']): Header[] {
  const texts: readonly (Buffer | string)[] = Array.isArray(raw) ? raw : [];
  const headers: Header[] = [];
  for (let i = 0; i + 1 < texts.length; i += 2) {
    headers.push([textOf(texts[i]).toLowerCase(), textOf(texts[i + 1])]);
  }
  return headers;
}

function textOf(part: Buffer | string | undefined): string {
  return Buffer.isBuffer(part) ? part.toString('latin1') : (part ?? '');
}

function ignoreCut(): void {
  // The reader, if any, sees the same error.
}
