import { Inject, Injectable } from '@nestjs/common';
import { errors, jwtVerify, SignJWT } from 'jose';

import { CLOCK, type Clock } from '../../common/clock.js';
import { isUuid } from '../../common/ids.js';
import { deriveKey, ROOT_KEY } from '../../database/root-key.js';

export interface SessionClaims {
  sessionId: string;
  userId: string;
}

/** What a token is for; both are checked, so that no other token of ours counts as a session. */
export const SESSION_ISSUER = 'stepwell';
export const SESSION_AUDIENCE = 'stepwell-api';
export const SESSION_TYPE = 'session+jwt';
export const SESSION_KEY_PURPOSE = 'session tokens';

/** Sessions never renew themselves. */
export const SESSION_SECONDS = 3_600;

/** Clocks of several hosts differ a little. */
const CLOCK_TOLERANCE_SECONDS = 30;

/** Session tokens: JWT (RFC 7519) after RFC 8725, with one algorithm, one key and one type. */
@Injectable()
export class SessionTokens {
  private readonly key: Uint8Array;

  constructor(
    @Inject(ROOT_KEY) rootKey: Buffer,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {
    this.key = deriveKey(rootKey, SESSION_KEY_PURPOSE);
  }

  /** @param expiresAt in whole seconds: a token knows no smaller ones. */
  async sign(claims: SessionClaims, expiresAt: Date): Promise<string> {
    const now = new Date(this.clock.now());
    return await new SignJWT()
      .setProtectedHeader({ alg: 'HS256', typ: SESSION_TYPE })
      .setIssuer(SESSION_ISSUER)
      .setAudience(SESSION_AUDIENCE)
      .setSubject(claims.userId)
      .setJti(claims.sessionId)
      .setIssuedAt(now)
      .setNotBefore(now)
      .setExpirationTime(expiresAt)
      .sign(this.key);
  }

  /** What a token says, when we said it and its time has come and isn't over; else null. */
  async verify(token: string): Promise<SessionClaims | null> {
    try {
      const { payload } = await jwtVerify(token, this.key, {
        algorithms: ['HS256'],
        typ: SESSION_TYPE,
        issuer: SESSION_ISSUER,
        audience: SESSION_AUDIENCE,
        requiredClaims: ['sub', 'jti', 'iat', 'nbf', 'exp'],
        // Makes jose look at `iat`, too.
        maxTokenAge: SESSION_SECONDS,
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        currentDate: new Date(this.clock.now()),
      });
      const { jti = '', sub = '' } = payload;
      return isUuid(jti) && isUuid(sub) ? { sessionId: jti, userId: sub } : null;
    } catch (error) {
      if (error instanceof errors.JOSEError) return null;
      throw error;
    }
  }
}
