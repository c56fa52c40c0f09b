import type { JsonObject, JsonValue } from '../../common/json.js';
import { isJsonObject } from '../../common/json.js';
import type { HostCallErrorCode, LogLine } from '../sandbox.js';
import type { AnswerHead, HttpHead, KernelLimits } from './kernel-bridge.js';

/** Headers of frames from the host to a child. `body` says what the frame's raw body is. */
export type HostMessage =
  /** body: the bundle's text. The child keeps it until it is dropped. */
  | { type: 'bundle'; digest: string }
  | { type: 'drop'; digest: string }
  /** body: the input as JSON. */
  | CallMessage
  /** body: the response's body. */
  | ({ type: 'answer'; call: string; id: number; ok: true } & AnswerHead)
  | {
      type: 'answer';
      call: string;
      id: number;
      ok: false;
      code: HostCallErrorCode;
      message: string;
    };

export interface CallMessage {
  type: 'call';
  /** 128 random bits, hex. Every frame of the call carries it. */
  call: string;
  digest: string;
  mode: 'run' | 'describe';
  /**
   * What no call before has used: the isolate, or the context alone, in an isolate that has run this
   * digest before.
   */
  fresh: 'isolate' | 'context';
  action: string;
  /** The fields of the credential that aren't secret; no secret ever goes to a child. */
  credential: Readonly<Record<string, string>> | null;
  idempotencyKey: string;
  cpuMs: number;
  heapMb: number;
  limits: KernelLimits;
  /** Defences that a negative control has switched off in the child. Never set outside of tests. */
  without?: ChildDefence[];
}

export type ChildDefence = 'cpuMeter' | 'kernelCaps' | 'freshIsolate' | 'freshContext';

/** Headers of frames from a child. Everything in them is checked: the child may be lost to its guest. */
export type ChildMessage =
  /** The process is up and can take calls. */
  | { type: 'hello'; node: string }
  /** The bundle is compiled; from here on CPU time is the call's own. */
  | { type: 'started'; call: string }
  /** body: the request's body. */
  | { type: 'http'; call: string; id: number; request: HttpHead }
  | { type: 'abort'; call: string; id: number }
  | { type: 'log'; call: string; level: LogLine['level']; message: string }
  /** body: the result as JSON. */
  | { type: 'done'; call: string; ok: true }
  /** body: the fault's details as JSON, or empty. */
  | ({ type: 'done'; call: string; ok: false } & CallFailure)
  /** The isolate is gone; the next call may come. */
  | { type: 'idle'; call: string };

export interface CallFailure {
  code: string;
  message: string;
  /** Only with a fault that the plugin declared itself. */
  retryable?: boolean;
}

/**
 * Reads the parsed header of a frame from a child.
 * @returns null when it isn't a message: a breach of the protocol.
 */
export function readChildMessage(header: JsonValue): ChildMessage | null {
  if (!isJsonObject(header)) return null;
  if (header['type'] === 'hello') {
    return typeof header['node'] === 'string' ? { type: 'hello', node: header['node'] } : null;
  }
  const call = header['call'];
  if (typeof call !== 'string') return null;
  const { type } = header;
  if (typeof type !== 'string') return null;
  switch (type) {
    case 'started':
      return { type: 'started', call };
    case 'idle':
      return { type: 'idle', call };
    case 'http':
      return readHttp(call, header);
    case 'abort':
      return isId(header['id']) ? { type: 'abort', call, id: header['id'] } : null;
    case 'log':
      return readLog(call, header);
    case 'done':
      return readDone(call, header);
    default:
      return null;
  }
}

function readHttp(call: string, header: JsonObject): ChildMessage | null {
  const { id, request } = header;
  if (!isId(id) || !isJsonObject(request ?? null)) return null;
  const { method, url, headers, redirect, hasBody, timeoutMs } = request as JsonObject;
  if (typeof method !== 'string' || typeof url !== 'string' || typeof hasBody !== 'boolean')
    return null;
  if (redirect !== 'follow' && redirect !== 'manual' && redirect !== 'error') return null;
  if (!Array.isArray(headers) || !headers.every(isPair)) return null;
  const head: HttpHead = { method, url, headers, redirect, hasBody };
  if (timeoutMs !== undefined) {
    if (typeof timeoutMs !== 'number' || timeoutMs < 0) return null;
    head.timeoutMs = timeoutMs;
  }
  return { type: 'http', call, id, request: head };
}

function readLog(call: string, { level, message }: JsonObject): ChildMessage | null {
  if (typeof message !== 'string') return null;
  if (level !== 'debug' && level !== 'info' && level !== 'warn' && level !== 'error') return null;
  return { type: 'log', call, level, message };
}

function readDone(call: string, { ok, code, message, retryable }: JsonObject): ChildMessage | null {
  if (ok === true) return { type: 'done', call, ok };
  if (ok !== false || typeof code !== 'string' || typeof message !== 'string') return null;
  if (retryable !== undefined && typeof retryable !== 'boolean') return null;
  return {
    type: 'done',
    call,
    ok,
    code,
    message,
    ...(retryable === undefined ? {} : { retryable }),
  };
}

function isId(value: JsonValue | undefined): value is number {
  return Number.isSafeInteger(value);
}

function isPair(value: JsonValue): value is [string, string] {
  return (
    Array.isArray(value) && value.length === 2 && value.every((item) => typeof item === 'string')
  );
}
