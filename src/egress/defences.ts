/**
 * What the gateway checks. Every one is on; a test switches one off to prove that the case which it
 * stops would otherwise get through. Nothing that reads configuration may set these.
 */
export interface Defences {
  /** The host has to be granted, on the first request and on each redirect. */
  hosts: boolean;
  /** https on 443, and plain http on 80 where granted. */
  ports: boolean;
  /** A bare IP in a URL is judged before a socket is opened. */
  literals: boolean;
  /** Every address that a name resolves to is judged. */
  lookup: boolean;
  /** The address that the socket really reached is judged before the first byte is sent. */
  remoteAddress: boolean;
  /** Headers that may carry a secret don't follow a redirect to another origin. */
  redirectHeaders: boolean;
  /** Response bytes are counted, before and after decompression. */
  responseBytes: boolean;
  /** A credential goes to its own hosts alone, not to all that is granted. */
  credentialHosts: boolean;
  /** Secrets that were sent are taken out of whatever comes back. */
  redaction: boolean;
}

export const ALL_DEFENCES: Defences = {
  hosts: true,
  ports: true,
  literals: true,
  lookup: true,
  remoteAddress: true,
  redirectHeaders: true,
  responseBytes: true,
  credentialHosts: true,
  redaction: true,
};
