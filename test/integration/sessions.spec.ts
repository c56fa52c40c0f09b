import { createHmac, generateKeyPairSync, randomUUID } from 'node:crypto';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { exportJWK, SignJWT } from 'jose';

import { deriveKey } from '../../src/database/root-key.js';
import { asSuperuser } from '../support/as-superuser.js';
import { startTestHost, type Answer, type Member, type TestHost } from '../support/test-host.js';

const ORIGIN = 'https://stepwell.example';

describe('sessions', () => {
  let host: TestHost;
  let member: Member;
  let token: string;

  beforeAll(async () => {
    // app.inject comes from 127.0.0.1: the proxy that this host trusts.
    host = await startTestHost({ env: { STEPWELL_TRUSTED_PROXIES: '127.0.0.1' } });
    member = await host.createUser();
  });

  afterAll(async () => {
    await host.close();
  });

  beforeEach(async () => {
    token = await host.beginSession(member.key);
  });

  const meWith = (headers: Record<string, string>): Promise<Answer> =>
    host.send({ path: '/api/auth/me', key: null, headers });
  const bearer = (jwt: string): Promise<Answer> => meWith({ authorization: `Bearer ${jwt}` });
  const logout = (headers: Record<string, string>, key: string | null = null): Promise<Answer> =>
    host.send({ method: 'POST', path: '/api/auth/logout', key, headers });
  /** What the proxy in front of this host adds. */
  const viaProxy = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'stepwell.example' };

  it('begin with an API key, for an hour', async () => {
    const before = Date.now();
    const answer = await host.send({ method: 'POST', path: '/api/auth/token', key: member.key });
    expect(answer.status).toBe(200);
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(answer.body).toEqual({ token: expect.any(String), expires_at: expect.any(String) });
    const lasts = Date.parse(answer.body.expires_at as string) - before;
    expect(lasts).toBeGreaterThan(3_598_000);
    expect(lasts).toBeLessThan(3_602_000);
    const me = await bearer(answer.body.token as string);
    expect(me.body).toEqual({
      user: {
        id: member.id,
        external_id: member.externalId,
        name: member.externalId,
        role: 'user',
        is_operator: false,
      },
      tenant: { id: expect.any(String), name: 'default' },
      permissions: [
        'credential.read',
        'credential.write',
        'plan.delete',
        'plan.execute',
        'plan.read',
        'plan.write',
        'plugin.read',
        'schedule.write',
      ],
      actor: null,
      authentication: {
        kind: 'session',
        api_key_id: member.keyId,
        session_id: expect.any(String),
        expires_at: answer.body.expires_at,
      },
    });
  });

  it('carry what the key carries that they were begun with', async () => {
    const narrow = await host.createUser({ permissions: ['plan.read'] });
    const me = await bearer(await host.beginSession(narrow.key));
    expect(me.body.permissions).toEqual(['plan.read']);
  });

  it('do not renew themselves', async () => {
    const headers = { authorization: `Bearer ${token}` };
    const answer = await host.send({ method: 'POST', path: '/api/auth/token', key: null, headers });
    expect(answer).toMatchObject({ status: 400, body: { code: 'request.invalid' } });
    expect(answer.headers['set-cookie']).toBeUndefined();
  });

  it.each(['tenant_id', 'role', 'expires_at', 'permissions'])(
    'take no %s from whoever begins them',
    async (field) => {
      for (const path of ['/api/auth/token', '/api/auth/logout']) {
        const body = { [field]: 'admin' };
        const answer = await host.send({ method: 'POST', path, key: member.key, body });
        expect(answer.status).toBe(400);
        expect(answer.body.errors[0].pointer).toBe(`/${field}`);
      }
    },
  );

  it('end at logout, and the cookie with them', async () => {
    const answer = await logout({ authorization: `Bearer ${token}` });
    expect(answer).toMatchObject({ status: 200, body: { success: true } });
    expect(answer.headers['set-cookie']).toMatch(/^token=; Max-Age=0; Path=\//);
    expect((await bearer(token)).status).toBe(401);
    expect((await meWith({ cookie: `token=${token}` })).status).toBe(401);
    const other = await host.beginSession(member.key);
    expect((await bearer(other)).status).toBe(200); // each session by itself
    const byKey = await logout({}, member.key);
    expect(byKey).toMatchObject({ status: 400, body: { code: 'request.invalid' } });
    expect(byKey.body.detail).toContain(`DELETE /api/api-keys/${member.keyId}`);
  });

  it('end when their row says so, whatever the token says', async () => {
    const { sessionId } = claimsOf(token);
    expect((await bearer(token)).status).toBe(200);
    const expire = 'update sessions set expires_at = now() where id = $1';
    await asSuperuser(host.database, expire, [sessionId]);
    expect(await bearer(token)).toMatchObject({ status: 401, body: { code: 'auth.invalid' } });
    // The next sign-in of the user clears it away.
    await host.beginSession(member.key);
    const rows = await asSuperuser(host.database, 'select 1 from sessions where id = $1', [
      sessionId,
    ]);
    expect(rows).toEqual([]);
    expect((await bearer(token)).status).toBe(401);
  });

  it('are a limited number for each user: the oldest ones end', async () => {
    const { id, key } = await host.createUser();
    const first = await host.beginSession(key);
    await asSuperuser(
      host.database,
      `insert into sessions (tenant_id, id, user_id, api_key_id, expires_at)
       select tenant_id, gen_random_uuid(), user_id, api_key_id, expires_at
         from sessions, generate_series(1, 999) where user_id = $1`,
      [id],
    );
    const next = await host.beginSession(key);
    const count = 'select count(*)::int as n from sessions where user_id = $1';
    expect(await asSuperuser(host.database, count, [id])).toEqual([{ n: 1000 }]);
    expect((await bearer(next)).status).toBe(200);
    expect((await bearer(first)).status).toBe(401);
    expect((await bearer(token)).status).toBe(200); // of another user
  });

  describe('as a cookie', () => {
    it('is set for the host alone, out of reach of scripts', async () => {
      const plain = await host.send({ method: 'POST', path: '/api/auth/token', key: member.key });
      expect(plain.headers['set-cookie']).toBe(
        `token=${String(plain.body.token)}; Max-Age=3600; Path=/; HttpOnly; SameSite=Lax`,
      );
      const secure = await host.send({
        method: 'POST',
        path: '/api/auth/token',
        key: member.key,
        headers: viaProxy,
      });
      expect(secure.headers['set-cookie']).toMatch(/HttpOnly; Secure; SameSite=Lax$/);
    });

    it('reads without an Origin, and writes with that of this host alone', async () => {
      const cookie = `token=${token}`;
      expect((await meWith({ cookie })).status).toBe(200);
      expect((await meWith({ cookie, origin: 'https://evil.example' })).status).toBe(200);
      const write = (headers: Record<string, string>): Promise<Answer> =>
        host.send({
          method: 'POST',
          path: '/api/plans/validate',
          key: null,
          body: { steps: [] },
          headers: { cookie, ...headers },
        });
      for (const origin of [
        undefined,
        'null',
        '',
        'https://evil.example',
        'http://stepwell.example',
        'https://stepwell.example.evil.example',
        'https://stepwell.example:8443',
        'https://evil.example https://stepwell.example',
      ]) {
        const answer = await write({ ...viaProxy, ...(origin === undefined ? {} : { origin }) });
        expect([origin, answer.status, answer.body.code]).toEqual([origin, 403, 'auth.forbidden']);
        expect(answer.body.detail).toContain('Origin');
      }
      expect((await write({ ...viaProxy, origin: ORIGIN })).status).toBe(200);
      expect((await write({ origin: 'http://localhost' })).status).toBe(200); // without a proxy
      expect((await write({ host: 'evil.example', origin: ORIGIN })).status).toBe(403);
      // What has no origin is no place of ours, whatever a proxy passes on.
      expect(
        (await write({ ...viaProxy, 'x-forwarded-proto': 'data', origin: 'null' })).status,
      ).toBe(403);
    });

    it('believes no proxy that is not trusted', async () => {
      const open = await startTestHost();
      try {
        const cookie = `token=${await open.beginSession(open.operatorKey)}`;
        const answer = await open.send({
          method: 'POST',
          path: '/api/plans/validate',
          key: null,
          body: { steps: [] },
          headers: { ...viaProxy, cookie, origin: ORIGIN },
        });
        expect(answer.status).toBe(403);
      } finally {
        await open.close();
      }
    });

    it('counts for nothing beside a header, be it right or wrong', async () => {
      const other = await host.createUser();
      const cookie = `token=${token}`;
      const byKey = await meWith({ cookie, 'x-api-key': other.key });
      expect(byKey.body.user.id).toBe(other.id);
      const authorization = `Bearer ${await host.beginSession(other.key)}`;
      expect((await meWith({ cookie, authorization })).body.user.id).toBe(other.id);
      const both = await meWith({ authorization: `Bearer ${token}`, 'x-api-key': other.key });
      expect(both.body.user.id).toBe(other.id);
      expect((await meWith({ cookie, 'x-api-key': 'sw_wrong' })).status).toBe(401);
      for (const wrong of ['Bearer wrong', 'Bearer', `Bearer ${token} ${token}`, 'ApiKey']) {
        expect((await meWith({ cookie, authorization: wrong })).status).toBe(401);
      }
      // The password of a proxy in front is none of ours.
      expect((await meWith({ cookie, authorization: 'Basic eDp5' })).status).toBe(200);
    });
  });

  describe('take no forged token', () => {
    const now = (): number => Math.floor(Date.now() / 1000);
    const ourKey = (): Buffer => deriveKey(host.database.rootKey, 'session tokens');
    /** A token as we make them, with what an attacker would have different. */
    const forge = async (
      different: {
        header?: Record<string, unknown>;
        payload?: Record<string, unknown>;
        key?: Uint8Array;
      } = {},
    ): Promise<string> => {
      const { sessionId } = claimsOf(token);
      return await new SignJWT({
        iss: 'stepwell',
        aud: 'stepwell-api',
        sub: member.id,
        jti: sessionId,
        iat: now(),
        nbf: now(),
        exp: now() + 60,
        ...different.payload,
      })
        .setProtectedHeader({ alg: 'HS256', typ: 'session+jwt', ...different.header })
        .sign(different.key ?? ourKey());
    };

    it('but one that is ours in every respect, or the others would prove nothing', async () => {
      expect((await bearer(await forge())).status).toBe(200);
      expect((await bearer(await forge({ payload: { nbf: now() + 20 } }))).status).toBe(200);
      expect((await bearer(await forge({ payload: { exp: now() - 20 } }))).status).toBe(200);
    });

    it.each<[string, () => Promise<string>]>([
      ['another key', () => forge({ key: Buffer.alloc(32, 1) })],
      ['the root key itself', () => forge({ key: host.database.rootKey })],
      ['a kid that names a path', () => forgeKid('../../../../dev/null')],
      ['a kid that is SQL', () => forgeKid(`' union select 'x' --`)],
      ['a kid that is a URL', () => forgeKid('http://127.0.0.1:1/key')],
      ['another algorithm', () => forge({ header: { alg: 'HS512' }, key: Buffer.alloc(64, 7) })],
      ['another algorithm with our key', () => forge({ header: { alg: 'HS384' } })],
      ['another type', () => forge({ header: { typ: 'JWT' } })],
      ['another audience', () => forge({ payload: { aud: 'elsewhere' } })],
      ['another issuer', () => forge({ payload: { iss: 'elsewhere' } })],
      ['an exp 61 s ago', () => forge({ payload: { exp: now() - 61 } })],
      ['an nbf in 61 s', () => forge({ payload: { nbf: now() + 61 } })],
      ['an iat in 61 s', () => forge({ payload: { iat: now() + 61 } })],
      ['an iat of yesterday', () => forge({ payload: { iat: now() - 86_400 } })],
      ['no exp', () => forge({ payload: { exp: undefined } })],
      ['no nbf', () => forge({ payload: { nbf: undefined } })],
      ['no aud', () => forge({ payload: { aud: undefined } })],
      ['no jti', () => forge({ payload: { jti: undefined } })],
      ['a jti that is SQL', () => forge({ payload: { jti: `' or true --` } })],
      ['a session that is not there', () => forge({ payload: { jti: randomUUID() } })],
      ['the session of somebody else', () => forge({ payload: { sub: randomUUID() } })],
      ['no sub', () => forge({ payload: { sub: undefined } })],
      ['an unknown critical header', () => Promise.resolve(unsigned({ crit: ['x'], x: 1 }))],
      ['alg none', () => Promise.resolve(unsigned({ alg: 'none' }).replace(/[^.]+$/, ''))],
      ['alg None, and a signature', () => Promise.resolve(unsigned({ alg: 'None' }))],
      ['alg none signed like ours', () => Promise.resolve(unsigned({ alg: 'none' }))],
      ['a key of its own, embedded', embedded],
      ['its signature cut off', () => Promise.resolve(token.replace(/[^.]+$/, ''))],
      ['a changed payload', () => Promise.resolve(token.replace(/\.[^.]+\./, swapPayload))],
      ['nothing', () => Promise.resolve('..')],
      ['an API key', () => Promise.resolve(member.key)],
    ])('with %s', async (_, make) => {
      const forged = await make();
      for (const answer of [await bearer(forged), await meWith({ cookie: `token=${forged}` })]) {
        expect(answer).toMatchObject({ status: 401, body: { code: 'auth.invalid' } });
        // Says nothing of why, and shows nothing of how it was checked.
        expect(JSON.stringify(answer.body)).not.toMatch(/jose|signature|select|\/src\/|stack/i);
      }
    });

    const forgeKid = (kid: string): Promise<string> =>
      forge({ header: { kid }, key: Buffer.alloc(32) });

    /** Signed by hand, since no library signs such headers. */
    const unsigned = (header: Record<string, unknown>): string => {
      const encode = (part: unknown): string =>
        Buffer.from(JSON.stringify(part)).toString('base64url');
      const { payload } = partsOf(token);
      const text = `${encode({ alg: 'HS256', typ: 'session+jwt', ...header })}.${encode(payload)}`;
      return `${text}.${createHmac('sha256', ourKey()).update(text).digest('base64url')}`;
    };

    async function embedded(): Promise<string> {
      const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
      const jwk = await exportJWK(publicKey);
      const { payload } = partsOf(token);
      return await new SignJWT(payload)
        .setProtectedHeader({ alg: 'RS256', typ: 'session+jwt', jwk: jwk })
        .sign(privateKey);
    }

    const swapPayload = (part: string): string => {
      const payload = { ...partsOf(`x${part}x`).payload, exp: now() + 86_400 };
      return `.${Buffer.from(JSON.stringify(payload)).toString('base64url')}.`;
    };
  });
});

function partsOf(jwt: string): { payload: Record<string, unknown> } {
  const [, payload = ''] = jwt.split('.');
  return {
    payload: JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>,
  };
}

function claimsOf(jwt: string): { sessionId: string } {
  return { sessionId: String(partsOf(jwt).payload['jti']) };
}
