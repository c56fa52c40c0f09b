import type { CredentialInject } from '@stepwell/plugin-sdk';

/**
 * A credential as one call may use it. Its secrets stay sealed until a request is about to leave for
 * one of its hosts; nothing but egress opens them.
 */
export interface EgressCredential {
  /**
   * Where it may go, fixed when it was made: `api.example.com` or `*.example.com` (https, port 443),
   * or an origin such as `http://127.0.0.1:9000`.
   */
  hosts: readonly string[];
  inject: CredentialInject;
  /** Fields that aren't secret, by name. */
  fields: Readonly<Record<string, string>>;
  /**
   * Decrypts the secret fields, by name. Asked by the first request that carries them, and once per
   * EgressSession; again only when it failed with anything but CredentialUnreadableError.
   * @throws CredentialUnreadableError
   */
  openSecrets(): Promise<Readonly<Record<string, string>>>;
}

/** A credential that can't be decrypted; the message says no more than that. */
export class CredentialUnreadableError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'CredentialUnreadableError';
  }
}
