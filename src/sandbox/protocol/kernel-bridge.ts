/**
 * What crosses the wall of the isolate: strings, nothing else. Each way has a head (JSON) and a body
 * (raw bytes as one character per byte, or a JSON text). Types only, and no imports: the kernel is
 * compiled without Node.
 */

/** How the kernel speaks to the child. `head` is the JSON of KernelHeads[kind]. */
export type KernelSend = (kind: KernelKind, head: string, body: string) => void;

export interface KernelHeads {
  http: HttpHead & { id: number };
  abort: { id: number };
  log: { level: 'debug' | 'info' | 'warn' | 'error'; message: string };
  timer: { id: number; ms: number };
  untimer: { id: number };
  done: { ok: true } | { ok: false; code: string; message: string; retryable?: boolean };
}

export type KernelKind = keyof KernelHeads;

/** Heads of what the child delivers. `now` is the clock of the turn that it begins, epoch milliseconds. */
export type KernelEvent =
  /** Before the bundle is evaluated. `seed` is 64 random bytes, one character each. */
  | { type: 'begin'; now: number; seed: string; limits: KernelLimits; withoutCaps?: boolean }
  /** After it. body: the input as JSON. */
  | {
      type: 'start';
      now: number;
      mode: 'run' | 'describe';
      action: string;
      /** The fields of the credential that aren't secret. */
      credential: Readonly<Record<string, string>> | null;
      idempotencyKey: string;
    }
  /** body: the response's body. */
  | ({ type: 'answer'; now: number; id: number; ok: true } & AnswerHead)
  | { type: 'answer'; now: number; id: number; ok: false; code: string; message: string }
  | { type: 'timer'; now: number; id: number };

export type KernelDeliver = (head: string, body: string) => void;

/** What the kernel's script leaves in the global `__stepwell_attach`, for the child to take. */
export type KernelAttach = (send: KernelSend) => KernelDeliver;

/** What the kernel enforces first; child and broker count again. */
export interface KernelLimits {
  outputBytes: number;
  hostCalls: number;
  hostCallsInFlight: number;
  logLines: number;
  logLineBytes: number;
}

export interface HttpHead {
  method: string;
  url: string;
  headers: [name: string, value: string][];
  redirect: 'follow' | 'manual' | 'error';
  timeoutMs?: number;
  hasBody: boolean;
}

export interface AnswerHead {
  status: number;
  statusText: string;
  url: string;
  redirected: boolean;
  headers: [name: string, value: string][];
}
