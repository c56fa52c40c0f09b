import { HostCallError } from '../sandbox/sandbox.js';
import { CredentialUnreadableError } from './credential.js';
import type { EgressCredential } from './credential.js';
import { rejectedBy } from './deadline.js';
import type { Defences } from './defences.js';
import { placeCredential, placesNothing, placesSecrets } from './placement.js';
import { Redactor } from './redaction.js';
import type { RequestHead } from './request-head.js';

/** One credential during one step: its secrets are opened once, by the first request that carries them. */
export class CredentialUse {
  readonly #credential: EgressCredential;
  #opening: Promise<Readonly<Record<string, string>>> | null = null;
  readonly #sensitive = new Set<string>();
  readonly #redacts: boolean;
  #redactor = new Redactor();
  #wasOpened = false;
  #failure: Error | null = null;

  constructor(credential: EgressCredential, defences: Pick<Defences, 'redaction'>) {
    this.#credential = credential;
    this.#redacts = defences.redaction;
  }

  get hosts(): readonly string[] {
    return this.#credential.hosts;
  }

  /** Whether it adds anything to a request. */
  get isPlaced(): boolean {
    return !placesNothing(this.#credential.inject);
  }

  get wasOpened(): boolean {
    return this.#wasOpened;
  }

  /** Why it could not be opened, when that was tried last. */
  get failure(): Error | null {
    return this.#failure;
  }

  /** Of all that was opened and made of it so far. */
  get redactor(): Redactor {
    return this.#redactor;
  }

  /**
   * @returns a copy of the request with the credential in it
   * @throws HostCallError `egress.failed`: reason `credential_unreadable` when it can't be decrypted,
   *   `credential_unavailable` when it can't be read now, `credential` when it can't be placed;
   *   or whatever the signal aborts with
   */
  async place(
    head: RequestHead,
    call: { messageId: string; signal: AbortSignal },
  ): Promise<RequestHead> {
    const { inject, fields } = this.#credential;
    const secrets = placesSecrets(inject) ? await this.#open(call.signal) : {};
    const placed = placeCredential({
      head,
      inject,
      values: { secrets, fields },
      messageId: call.messageId,
      sentAtMs: Date.now(),
    });
    this.#hide(placed.derived);
    return placed.head;
  }

  async #open(signal: AbortSignal): Promise<Readonly<Record<string, string>>> {
    this.#opening ??= this.#openSecrets();
    return Promise.race([this.#opening, rejectedBy(signal)]);
  }

  async #openSecrets(): Promise<Readonly<Record<string, string>>> {
    try {
      const secrets = await this.#credential.openSecrets();
      this.#wasOpened = true;
      this.#failure = null;
      this.#hide(Object.values(secrets));
      return secrets;
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(String(error));
      if (error instanceof CredentialUnreadableError) throw unopened('credential_unreadable');
      // The store may answer the next request of the step.
      this.#opening = null;
      throw unopened('credential_unavailable');
    }
  }

  #hide(texts: readonly string[]): void {
    if (!this.#redacts || texts.every((text) => this.#sensitive.has(text))) return;
    for (const text of texts) this.#sensitive.add(text);
    this.#redactor = new Redactor(this.#sensitive);
  }
}

function unopened(reason: 'credential_unreadable' | 'credential_unavailable'): HostCallError {
  const message =
    reason === 'credential_unreadable'
      ? "the credential can't be decrypted, so the request was not sent; store it again"
      : 'the credential could not be read now, so the request was not sent; try again';
  return new HostCallError('egress.failed', message, { reason, sent: false });
}
