import type { OutboundRequest, OutboundResponse } from '../sandbox/sandbox.js';
import type { CredentialUse } from './credential-use.js';
import { Redactor } from './redaction.js';

/** Sends one request; what EgressGateway.send says of answers and errors holds. */
export type SendRequest = (
  request: OutboundRequest,
  signal: AbortSignal,
) => Promise<OutboundResponse>;

/**
 * All that one step sends under one grant. Its credential is opened at most once, by the first
 * request that carries it; afterwards the session tells whether it was, and takes its secrets out of
 * what the step leaves behind.
 */
export class EgressSession {
  readonly #use: CredentialUse | null;

  constructor(
    use: CredentialUse | null,
    readonly send: SendRequest,
  ) {
    this.#use = use;
  }

  /** Whether secrets of the credential were decrypted, for the audit log. */
  get wasOpened(): boolean {
    return this.#use?.wasOpened ?? false;
  }

  /**
   * Why the credential could not be opened: a CredentialUnreadableError, or what the store threw.
   * For the host's own log; its message may say more than a plugin may know.
   */
  get credentialFailure(): Error | null {
    return this.#use?.failure ?? null;
  }

  /** Ask for it when the step is over: until its secrets are opened there is nothing to redact. */
  get redactor(): Redactor {
    return this.#use?.redactor ?? NO_SECRETS;
  }
}

const NO_SECRETS = new Redactor();
