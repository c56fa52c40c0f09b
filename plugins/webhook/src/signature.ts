import { InvalidInput, type ActionCrypto } from '@stepwell/plugin-sdk';

/** What the signature of one webhook is made of. */
export interface WebhookMessage {
  /** The same for every attempt, so that receivers know what they already have. */
  id: string;
  sentAtMs: number;
  /** The body as it is sent, to the byte. */
  body: string;
}

/**
 * The headers of a signed webhook: Standard Webhooks 1.0, symmetric signature v1.
 * @throws InvalidInput when the secret begins with "whsec_" and goes on with something else than base64
 */
export async function signatureHeaders(
  secret: string,
  { id, sentAtMs, body }: WebhookMessage,
  crypto: ActionCrypto,
): Promise<Record<string, string>> {
  const timestamp = String(Math.floor(sentAtMs / 1000));
  const data = `${id}.${timestamp}.${body}`;
  const signature = crypto.toBase64(await crypto.hmac({ key: readKey(secret), data }));
  return {
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': `v1,${signature}`,
  };
}

const PREFIX = 'whsec_';
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/;

function readKey(secret: string): string | Uint8Array {
  if (!secret.startsWith(PREFIX)) return secret;
  const text = secret.slice(PREFIX.length);
  if (text === '' || !BASE64.test(text)) {
    throw new InvalidInput('after "whsec_" the secret must go on in base64', {
      pointer: '/secret',
    });
  }
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
