import { createHash, timingSafeEqual } from 'node:crypto';

import type { RequestProof } from './request-proof.js';

/** Whether a request carries the token as `Authorization: Bearer`; in a time that tells nothing of it. */
export function isScrapeToken(proof: RequestProof, token: string | null): boolean {
  if (token === null || proof.kind !== 'session' || proof.sentBy !== 'header') return false;
  return timingSafeEqual(digest(proof.token), digest(token));
}

/** Of one length, whatever was sent. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
