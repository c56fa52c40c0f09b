import { actionCrypto, type ActionCrypto } from './crypto.js';
import type { CredentialValues } from './define-credential.js';
import { createHttpClient, type HttpClient } from './http-client.js';
import type { KernelContext } from './runtime.js';

/** All that an action gets. There is nothing else: no files, no environment, no other network. */
export interface ActionContext<Input, Credential = CredentialValues | null> {
  /** The step's input: valid against the schema, with its defaults and transforms applied. */
  readonly input: Input;
  /**
   * The fields of the step's credential that aren't secret, such as a base URL. Secrets never come
   * here: egress places them. Null without a credential.
   */
  readonly credential: Credential;
  readonly http: HttpClient;
  readonly log: ActionLog;
  readonly clock: ActionClock;
  readonly crypto: ActionCrypto;
  /** The same for every attempt of one step: give it to providers that do the work once per key. */
  readonly idempotencyKey: string;
  /** Aborts when the step is cancelled or its time is over; `ctx.http` follows it already. */
  readonly signal: AbortSignal;
}

/** `ctx.log`: lines that appear with the step's result. Fields are written as JSON. */
export interface ActionLog {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** Facts beside a log message; anything that JSON can hold. */
export type LogFields = Readonly<Record<string, unknown>>;

/** `ctx.clock`: the wall clock. */
export interface ActionClock {
  /** Milliseconds since 1970 UTC; it stands still between two answers of the host. */
  now(): number;
}

/** What one call of an action sees, made from what the kernel gives. */
export function createContext<Input>(kernel: KernelContext, input: Input): ActionContext<Input> {
  const now = (): number => kernel.now();
  const log =
    (level: keyof ActionLog) =>
    (message: string, fields?: LogFields): void => {
      kernel.log(level, fields === undefined ? message : `${message} ${toText(fields)}`);
    };
  return {
    input,
    credential: kernel.credential,
    http: createHttpClient({ signal: kernel.signal, now }),
    log: { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') },
    clock: { now },
    crypto: actionCrypto,
    idempotencyKey: kernel.idempotencyKey,
    signal: kernel.signal,
  };
}

/** A line of log must never fail a step. */
function toText(fields: LogFields): string {
  try {
    return JSON.stringify(fields);
  } catch {
    return `[not JSON: ${Object.keys(fields).join(', ')}]`;
  }
}
