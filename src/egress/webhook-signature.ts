import { createHmac } from 'node:crypto';

/**
 * The three headers of a signed request (Standard Webhooks 1.0, symmetric signature v1).
 * @param message.id without a full stop: the signed text is `id.timestamp.body`, and one in the id
 *   would let whoever chooses it move the timestamp
 * @returns null when the secret begins with `whsec_` and the rest isn't base64
 */
export function webhookSignature(
  secret: string,
  message: { id: string; sentAtMs: number; body: Uint8Array },
): { id: string; timestamp: string; signature: string } | null {
  const key = readKey(secret);
  if (key === null) return null;
  const timestamp = String(Math.floor(message.sentAtMs / 1000));
  const signature = createHmac('sha256', key)
    .update(`${message.id}.${timestamp}.`)
    .update(message.body)
    .digest('base64');
  return { id: message.id, timestamp, signature: `v1,${signature}` };
}

const PREFIX = 'whsec_';
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/;

function readKey(secret: string): Buffer | null {
  if (!secret.startsWith(PREFIX)) return secret === '' ? null : Buffer.from(secret);
  const text = secret.slice(PREFIX.length);
  return text !== '' && BASE64.test(text) ? Buffer.from(text, 'base64') : null;
}
