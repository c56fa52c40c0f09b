import type {
  AnswerHead,
  HttpHead,
  KernelHeads,
  KernelLimits,
  KernelSend,
} from '../protocol/kernel-bridge.js';
import { MAX_BODY_BYTES, MAX_TIMERS, MAX_TIMERS_PENDING } from '../protocol/frame-limits.js';
import {
  dictionary,
  jsonStringify,
  NativeError,
  NativeTypeError,
  PrivateNotes,
  sliceString,
  toText,
} from './primordials.js';

/** An answer of the host to a request: head and body, one character per byte. */
export interface HttpAnswer extends AnswerHead {
  body: string;
}

/** The host's refusal of a request, as the guest sees it. */
export interface HttpRefusal {
  code: string;
  message: string;
}

interface Waiting {
  onAnswer(answer: HttpAnswer): void;
  onRefusal(error: Error): void;
}

/**
 * The kernel's only way out. It counts what the guest does against the call's limits; the first
 * breach ends the call, and after the end nothing more leaves.
 */
export class Bridge {
  #send: KernelSend = detached;
  #limits: KernelLimits = NOTHING;
  #capped = true;
  #closed = true;
  #lastId = 0;
  #calls = 0;
  #inFlight = 0;
  #logLines = 0;
  #timers = 0;
  #timersPending = 0;
  #waiting = dictionary<Waiting>();
  #callbacks = dictionary<() => void>();
  readonly #refusals = new PrivateNotes<HttpRefusal>();

  /** Connects to the child. Until then nothing can be sent. */
  attach(send: KernelSend): void {
    this.#send = send;
  }

  open(limits: KernelLimits, withoutCaps: boolean): void {
    this.#limits = limits;
    this.#capped = !withoutCaps;
    this.#closed = false;
    this.#calls = this.#inFlight = this.#logLines = this.#timers = this.#timersPending = 0;
    this.#waiting = dictionary();
    this.#callbacks = dictionary();
  }

  get closed(): boolean {
    return this.#closed;
  }

  get outputBytes(): number {
    return this.#limits.outputBytes;
  }

  /** Sends a request. `body` is one character per byte. Returns its id, by which it can be aborted. */
  http(request: HttpHead, body: string, waiting: Waiting): number {
    if (this.#closed) throw new NativeError('the call is over');
    if (this.#capped) {
      if (++this.#calls > this.#limits.hostCalls) {
        this.breach(
          'plugin.too_many_calls',
          `more than ${toText(this.#limits.hostCalls)} host calls`,
        );
      }
      if (++this.#inFlight > this.#limits.hostCallsInFlight) {
        const limit = this.#limits.hostCallsInFlight;
        this.breach('plugin.too_many_in_flight', `more than ${toText(limit)} host calls at once`);
      }
      if (body.length > MAX_BODY_BYTES) {
        this.breach(
          'plugin.message_too_large',
          `request body is over ${toText(MAX_BODY_BYTES)} bytes`,
        );
      }
    }
    const id = ++this.#lastId;
    this.#waiting[id] = waiting;
    const { method, url, headers, redirect, timeoutMs, hasBody } = request;
    // Put together from strings: stringify asks no string for toJSON, so no guest code runs here.
    let pairs = '';
    for (let i = 0; i < headers.length; i++) {
      const pair = headers[i] as [string, string];
      pairs += `${i === 0 ? '' : ','}[${jsonStringify(pair[0])},${jsonStringify(pair[1])}]`;
    }
    const deadline = timeoutMs === undefined ? '' : `,"timeoutMs":${toText(timeoutMs)}`;
    const head = `{"id":${toText(id)},"method":${jsonStringify(method)},"url":${jsonStringify(url)},"headers":[${pairs}],"redirect":${jsonStringify(redirect)},"hasBody":${toText(hasBody)}${deadline}}`;
    if (this.#capped && head.length > MAX_HEAD_CHARS) {
      this.breach('plugin.message_too_large', 'request URL and headers are too large');
    }
    this.#send('http', head, body);
    return id;
  }

  abort(id: number): void {
    if (!this.#closed) this.#send('abort', `{"id":${toText(id)}}`, '');
  }

  answer(id: number, answer: HttpAnswer | HttpRefusal): void {
    const waiting = this.#waiting[id];
    if (waiting === undefined) return;
    this.#waiting[id] = undefined as never;
    this.#inFlight--;
    if ('status' in answer) {
      waiting.onAnswer(answer);
      return;
    }
    const error = new NativeTypeError(answer.message) as TypeError & { code: string };
    error.code = answer.code;
    this.#refusals.set(error, { code: answer.code, message: answer.message });
    waiting.onRefusal(error);
  }

  /** The refusal behind an error, if the bridge made that very error. */
  refusalOf(error: object): HttpRefusal | undefined {
    return this.#refusals.get(error);
  }

  /** Whether another line would still be taken: spares the formatting of lines that go nowhere. */
  get takesLogs(): boolean {
    return !this.#closed && (!this.#capped || this.#logLines <= this.#limits.logLines);
  }

  /** One line past the limit is sent: it tells the broker that something was dropped. */
  log(level: KernelHeads['log']['level'], message: string): void {
    if (!this.takesLogs) return;
    this.#logLines++;
    const text = this.#capped ? sliceString(message, 0, this.#limits.logLineBytes) : message;
    this.#send('log', `{"level":${jsonStringify(level)},"message":${jsonStringify(text)}}`, '');
  }

  timer(callback: () => void, ms: number): number {
    if (this.#closed) return 0;
    if (
      this.#capped &&
      (++this.#timers > MAX_TIMERS || ++this.#timersPending > MAX_TIMERS_PENDING)
    ) {
      this.breach('plugin.too_many_calls', 'too many timers');
    }
    const id = ++this.#lastId;
    this.#callbacks[id] = callback;
    this.#send('timer', `{"id":${toText(id)},"ms":${toText(ms)}}`, '');
    return id;
  }

  clearTimer(id: number): void {
    if (this.#callbacks[id] === undefined) return;
    this.#callbacks[id] = undefined as never;
    this.#timersPending--;
    if (!this.#closed) this.#send('untimer', `{"id":${toText(id)}}`, '');
  }

  fire(id: number): void {
    const callback = this.#callbacks[id];
    if (callback === undefined) return;
    this.#callbacks[id] = undefined as never;
    this.#timersPending--;
    callback();
  }

  succeed(json: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#send('done', '{"ok":true}', json);
  }

  fail(failure: { code: string; message: string; retryable?: boolean; details?: string }): void {
    if (this.#closed) return;
    this.#closed = true;
    const { code, message, retryable, details = '' } = failure;
    const again = retryable === undefined ? '' : `,"retryable":${toText(retryable)}`;
    this.#send(
      'done',
      `{"ok":false,"code":${jsonStringify(code)},"message":${jsonStringify(message)}${again}}`,
      details,
    );
  }

  /** Ends the call for good; the throw only stops the guest where it stands. */
  breach(code: string, message: string): never {
    this.fail({ code, message });
    throw new NativeError(message);
  }
}

const detached: KernelSend = () => undefined;
const MAX_HEAD_CHARS = 256 * 1024;
const NOTHING: KernelLimits = {
  outputBytes: 0,
  hostCalls: 0,
  hostCallsInFlight: 0,
  logLines: 0,
  logLineBytes: 0,
};
