/** What a data key is for; an unwrap with another context fails. */
export interface KeyContext {
  tenantId: string;
  version: number;
}

/** A data key as it is stored. */
export interface WrappedKey {
  /** Which root key wraps it: a fingerprint, not the key. */
  rootKeyId: string;
  wrappedKey: Buffer;
}

/**
 * Keeps tenants' data keys under the root key. The root key never leaves what implements this, so
 * that a key management service can stand in for the local one.
 */
export interface KeyWrapper {
  /** @param dataKey 32 bytes */
  wrap(dataKey: Buffer, context: KeyContext): Promise<WrappedKey>;
  /**
   * @returns the 32 bytes
   * @throws CredentialUnreadableError when it was wrapped under another root key or for another context;
   *   any other error means that it may work later
   */
  unwrap(wrapped: WrappedKey, context: KeyContext): Promise<Buffer>;
}

export const KEY_WRAPPER = Symbol('KeyWrapper');
