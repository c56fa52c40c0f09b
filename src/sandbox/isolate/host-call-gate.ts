import {
  MAX_BODY_BYTES,
  MAX_REQUEST_BYTES,
  MAX_REQUEST_BYTES_IN_FLIGHT,
} from '../protocol/frame-limits.js';
import type { HttpHead } from '../protocol/kernel-bridge.js';
import type { HostMessage } from '../protocol/messages.js';
import {
  HostCallError,
  type CallLimits,
  type HostCalls,
  type LogLine,
  type OutboundRequest,
  type OutboundResponse,
} from '../sandbox.js';
import type { SandboxLog } from './isolate-options.js';
import { failed, type CallOutcome } from './outcome.js';

type Answer = Extract<HostMessage, { type: 'answer' }>;

/** What a call asks of the host: counted, capped, answered as data, and aborted when the call ends. */
export class HostCallGate {
  /** Refusals that this call was given, by code. */
  readonly refusals = new Map<string, HostCallError>();
  private readonly inFlight = new Map<number, AbortController>();
  private calls = 0;
  private bytes = 0;
  private bytesInFlight = 0;
  private logLines = 0;
  private aborts = 0;
  private isClosed = false;

  constructor(
    private readonly parts: {
      call: string;
      host: HostCalls;
      limits: CallLimits;
      /** False: the child's own counting is believed. For a negative control only. */
      enforces: boolean;
      answer: (answer: Answer, body?: Uint8Array) => void;
      log: SandboxLog;
    },
  ) {}

  /** @returns the outcome of the call when the request breaks one of its limits. */
  http(id: number, head: HttpHead, body: Uint8Array): CallOutcome | null {
    if (this.isClosed) return null;
    const breach = this.parts.enforces ? this.breachOf(id, body) : null;
    if (breach !== null) return breach;
    const { hasBody, ...request } = head;
    void this.perform(id, { ...request, body: hasBody ? body : null }, body.byteLength);
    return null;
  }

  /** @returns the outcome of the call when it aborts more often than it can have asked. */
  abort(id: number): CallOutcome | null {
    if (this.parts.enforces && ++this.aborts > this.parts.limits.hostCalls) {
      return failed('plugin.protocol_violation', 'more requests were aborted than sent');
    }
    this.inFlight.get(id)?.abort(new DOMException('the plugin aborted the request', 'AbortError'));
    return null;
  }

  /**
   * Lines past the limit are dropped; one marker says so. The kernel sends one line past it, for the
   * marker.
   * @returns the outcome of the call when there are more, which no kernel sends.
   */
  log({ level, message }: LogLine): CallOutcome | null {
    const { logLines, logLineBytes } = this.parts.limits;
    this.logLines++;
    if (this.isClosed) return null;
    if (this.logLines > logLines + 1) {
      return this.parts.enforces
        ? failed('plugin.protocol_violation', 'more lines were logged than the kernel allows')
        : null;
    }
    const isMarker = this.logLines > logLines;
    const line: LogLine = isMarker
      ? { level: 'warn', message: `log truncated: more than ${String(logLines)} lines` }
      : { level, message: cutBytes(message, logLineBytes) };
    try {
      this.parts.host.log(line);
    } catch (error) {
      this.parts.log('error', 'sandbox.log_failed', {
        call: this.parts.call,
        error: String(error),
      });
    }
    return null;
  }

  /** Nothing is answered any more, and whatever is on its way is aborted. */
  close(): void {
    this.isClosed = true;
    for (const controller of this.inFlight.values()) {
      controller.abort(new DOMException('the call is over', 'AbortError'));
    }
  }

  private breachOf(id: number, body: Uint8Array): CallOutcome | null {
    const { limits } = this.parts;
    if (this.inFlight.has(id))
      return failed('plugin.protocol_violation', 'a request id was used twice');
    if (++this.calls > limits.hostCalls) {
      return failed('plugin.too_many_calls', `more than ${String(limits.hostCalls)} host calls`);
    }
    if (this.inFlight.size >= limits.hostCallsInFlight) {
      const message = `more than ${String(limits.hostCallsInFlight)} host calls at once`;
      return failed('plugin.too_many_in_flight', message);
    }
    this.bytes += body.byteLength;
    if (
      this.bytes > MAX_REQUEST_BYTES ||
      this.bytesInFlight + body.byteLength > MAX_REQUEST_BYTES_IN_FLIGHT
    ) {
      return failed(
        'plugin.message_too_large',
        'the request bodies of the call are too large altogether',
      );
    }
    return null;
  }

  private async perform(id: number, request: OutboundRequest, bytes: number): Promise<void> {
    const controller = new AbortController();
    this.inFlight.set(id, controller);
    this.bytesInFlight += bytes;
    let answer: () => void;
    try {
      const response = await this.parts.host.http(request, controller.signal);
      answer = () => {
        this.respond(id, response);
      };
    } catch (error) {
      answer = () => {
        this.refuse(id, this.refusalFrom(error));
      };
    }
    this.inFlight.delete(id);
    this.bytesInFlight -= bytes;
    if (!this.isClosed) answer();
  }

  private respond(id: number, response: OutboundResponse): void {
    const { status, statusText, url, redirected, headers, body } = response;
    const { call, limits } = this.parts;
    const max = Math.min(limits.responseBytes, MAX_BODY_BYTES);
    if (body.byteLength > max) {
      this.refuse(
        id,
        new HostCallError('egress.response_too_large', `the response is over ${String(max)} bytes`),
      );
      return;
    }
    try {
      const head = { status, statusText, url, redirected, headers };
      this.parts.answer({ type: 'answer', call, id, ok: true, ...head }, body);
    } catch {
      // Its headers alone are over the cap of a frame.
      this.refuse(
        id,
        new HostCallError('egress.response_too_large', 'the response has too many headers'),
      );
    }
  }

  private refuse(id: number, error: HostCallError): void {
    this.refusals.set(error.code, error);
    const { code } = error;
    const message = error.message.slice(0, MAX_REFUSAL_CHARS);
    this.parts.answer({ type: 'answer', call: this.parts.call, id, ok: false, code, message });
  }

  /** Anything but a HostCallError is a fault of ours: the guest learns no more than that it failed. */
  private refusalFrom(error: unknown): HostCallError {
    if (error instanceof HostCallError) return error;
    if (!this.isClosed && !isAbort(error)) {
      this.parts.log('error', 'sandbox.host_call_failed', { call: this.parts.call, error });
    }
    return new HostCallError('egress.failed', 'the request could not be sent');
  }
}

const MAX_REFUSAL_CHARS = 500;

function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}

/** The first bytes of a text, cut between characters. */
function cutBytes(text: string, maxBytes: number): string {
  if (text.length * 3 <= maxBytes || Buffer.byteLength(text) <= maxBytes) return text;
  const cut = Buffer.from(text).subarray(0, maxBytes);
  return new TextDecoder().decode(cut, { stream: true });
}
