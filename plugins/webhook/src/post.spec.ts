import { createHmac } from 'node:crypto';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { JsonValue, KernelContext } from '@stepwell/plugin-sdk';

import plugin from './index.js';

const KEY = 'execution:step:0';
const NOW_MS = 1_614_265_330_999;

describe('webhook.post', () => {
  const realFetch = globalThis.fetch;
  let sent: { url: string; init: RequestInit }[];
  let answer: Response;

  beforeEach(() => {
    sent = [];
    answer = new Response('{"received":true}', {
      status: 202,
      headers: { 'Content-Type': 'application/json' },
    });
    globalThis.fetch = ((url: URL, init: RequestInit) => {
      sent.push({ url: url.href, init });
      return Promise.resolve(answer.clone());
    }) as typeof fetch;
  });

  afterEach(() => {
    globalThis.fetch = realFetch;
  });

  const sentHeaders = (): Record<string, string> =>
    Object.fromEntries(new Headers(sent[0]?.init.headers));

  it('posts JSON, unsigned unless it has a secret', async () => {
    const output = await post({
      url: 'https://a.example/hook?x=1',
      body: { a: [1, 'ü'] },
      headers: { 'X-Trace': 't' },
    });
    expect(output).toEqual({
      status: 202,
      headers: { 'content-type': 'application/json' },
      body: { received: true },
    });
    const [{ url, init } = { url: '', init: {} }] = sent;
    expect([url, init.method, init.body]).toEqual([
      'https://a.example/hook?x=1',
      'POST',
      '{"a":[1,"ü"]}',
    ]);
    expect(sentHeaders()).toEqual({ 'content-type': 'application/json', 'x-trace': 't' });
  });

  it('sends a text as it is, under the type that the step names', async () => {
    const headers = { 'Content-Type': 'text/xml' };
    await post({ url: 'https://a.example/', body: '<a/>', headers });
    expect([sent[0]?.init.body, sentHeaders()]).toEqual(['<a/>', { 'content-type': 'text/xml' }]);
  });

  it('signs as Standard Webhooks 1.0 says, over the bytes that it sends', async () => {
    const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
    await post({ url: 'https://a.example/', body: { test: 'ü' }, secret });
    const body = '{"test":"ü"}';
    expect(sent[0]?.init.body).toBe(body);
    expect(sentHeaders()).toEqual({
      'content-type': 'application/json',
      'webhook-id': KEY,
      'webhook-timestamp': '1614265330',
      'webhook-signature': `v1,${signature(Buffer.from(secret.slice(6), 'base64'), body)}`,
    });
  });

  it('gives the signature of the published test vector', async () => {
    // "msg_p5jXN8AQM9LWM0D4loKWxJek" at 1614265330 with this body and secret.
    const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
    const idempotencyKey = 'msg_p5jXN8AQM9LWM0D4loKWxJek';
    await post(
      { url: 'https://a.example/', body: '{"test": 2432232314}', secret },
      { idempotencyKey },
    );
    expect(sentHeaders()['webhook-signature']).toBe(
      'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    );
  });

  it('takes any other secret as it is, and lets no header of the step stand for the signature', async () => {
    const secret = 'geheim-ß';
    const headers = { 'Webhook-Signature': 'v1,forged', 'WEBHOOK-ID': 'mine' };
    await post({ url: 'https://a.example/', body: 'x', secret, headers });
    expect(sentHeaders()).toMatchObject({
      'webhook-id': KEY,
      'webhook-signature': `v1,${signature(Buffer.from(secret), 'x')}`,
    });
  });

  it('leaves signing to egress when it has a credential, and sends to its endpoint', async () => {
    const credential = { endpoint: 'https://a.example/hook' };
    await post({ body: {} }, { credential });
    expect(sent[0]?.url).toBe('https://a.example/hook');
    expect(sentHeaders()).toEqual({ 'content-type': 'application/json', 'webhook-id': KEY });
    await post({ url: 'https://a.example/other', body: {} }, { credential });
    expect(sent[1]?.url).toBe('https://a.example/other');
  });

  it.each<[JsonValue, Partial<KernelContext>, string, RegExp]>([
    [{ body: 1 }, {}, '/url', /give a url/],
    [{ url: '/hook', body: 1 }, {}, '/url', /not an absolute URL/],
    [{ url: 'https://a.example/', body: 1, secret: 'whsec_no!' }, {}, '/secret', /base64/],
    [{ url: 'https://a.example/', body: 1, secret: 'whsec_' }, {}, '/secret', /base64/],
    [
      { body: 1, secret: 's' },
      { credential: { endpoint: 'https://a.example/' } },
      '/secret',
      /only one can sign/,
    ],
    [
      { url: 'https://b.example/', body: 1 },
      { credential: { endpoint: 'https://a.example/' } },
      '/url',
      /signs for https:\/\/a\.example alone/,
    ],
    [
      { url: 'http://a.example/', body: 1 },
      { credential: { endpoint: 'https://a.example/' } },
      '/url',
      /would not be signed/,
    ],
  ])('refuses %j with %j before anything is sent', async (input, more, pointer, message) => {
    await expect(post(input, more)).rejects.toMatchObject({
      message: expect.stringMatching(message),
      stepwell: { code: 'input.invalid', details: { pointer } },
    });
    expect(sent).toEqual([]);
  });

  it.each<[number, string, Record<string, string>, object]>([
    [400, 'bad signature', {}, { code: 'provider.rejected', retryable: false }],
    [401, 'no', {}, { code: 'provider.auth_failed', retryable: false }],
    [
      429,
      'slow down',
      { 'Retry-After': '9' },
      { code: 'provider.rate_limited', details: { retry_after_ms: 9000 } },
    ],
    [500, 'oops', {}, { code: 'provider.unavailable', details: { outcome: 'unknown' } }],
  ])('fails on %d', async (status, text, headers, fault) => {
    answer = new Response(text, { status, headers });
    await expect(post({ url: 'https://a.example/', body: 1 })).rejects.toMatchObject({
      message: `POST https://a.example/ answered ${String(status)}: ${text}`,
      stepwell: fault,
    });
  });

  it.each([
    ['', 'application/json', null],
    ['ok', 'text/plain', 'ok'],
    ['<html>', 'application/json', '<html>'],
  ])('reads the answer %j of type %s', async (text, type, body) => {
    answer = new Response(text, { headers: { 'Content-Type': type } });
    expect(await post({ url: 'https://a.example/', body: 1 })).toMatchObject({ status: 200, body });
  });

  it('marks its secret, so that no journal shows it, and is never repeated silently', () => {
    const [action] = plugin.describe().actions;
    expect(action).toMatchObject({
      effects: 'write',
      idempotency: 'none',
      generic: true,
      credential: 'webhook',
      credentialOptional: true,
      input: { properties: { secret: { 'x-stepwell-secret': true } }, required: ['body'] },
    });
    expect(plugin.describe().credentials).toMatchObject([
      {
        hosts: [{ fromField: 'endpoint' }],
        inject: { sign: { scheme: 'standard-webhooks', secret: '{{secret.secret}}' } },
      },
    ]);
  });
});

function post(input: JsonValue, more: Partial<KernelContext> = {}): Promise<unknown> {
  return plugin.run('post', {
    input,
    credential: null,
    idempotencyKey: KEY,
    signal: new AbortController().signal,
    now: () => NOW_MS,
    log: () => undefined,
    ...more,
  });
}

function signature(key: Buffer, body: string): string {
  return createHmac('sha256', key).update(`${KEY}.1614265330.${body}`).digest('base64');
}
