import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import * as z from 'zod';

import { AuthError, Permanent, RateLimited, Retryable } from './errors.js';
import { createHttpClient } from './http-client.js';
import { parseRetryAfter } from './http-errors.js';

const NOW = Date.UTC(2026, 10, 20, 6, 0, 0);

interface Sent {
  url: string;
  method: string | undefined;
  headers: Record<string, string>;
  body: unknown;
  redirect: string | undefined;
}

describe('ctx.http', () => {
  const realFetch = globalThis.fetch;
  let sent: Sent[];
  let answer: () => Response | Promise<Response>;
  const step = new AbortController();
  const http = createHttpClient({ signal: step.signal, now: () => NOW });

  beforeEach(() => {
    sent = [];
    answer = () => new Response('{"ok":true}', { status: 200 });
    globalThis.fetch = ((url: URL, init: RequestInit) => {
      const headers = Object.fromEntries(new Headers(init.headers));
      const { method, redirect } = init;
      sent.push({ url: url.href, method, headers, body: init.body, redirect });
      const aborted = new Promise<never>((_resolve, reject) => {
        init.signal?.addEventListener('abort', () => {
          reject((init.signal as { reason: Error }).reason);
        });
      });
      return Promise.race([answer(), aborted]);
    }) as typeof fetch;
  });

  afterEach(() => {
    globalThis.fetch = realFetch;
  });

  it('adds the query, leaving out what is not there', async () => {
    await http.get('https://a.example/x?k=1', {
      query: { tag: ['a b', 2], no: undefined, nil: null },
    });
    expect(sent[0]).toMatchObject({ method: 'GET', url: 'https://a.example/x?k=1&tag=a+b&tag=2' });
  });

  it('sends JSON, forms and raw bodies under their media types', async () => {
    await http.post('https://a.example/', { json: { a: [1] } });
    await http.put('https://a.example/', { form: { a: 'x y', b: true } });
    await http.patch('https://a.example/', {
      body: 'raw',
      headers: { 'Content-Type': 'text/csv' },
    });
    expect(
      sent.map(({ method, headers, body }) => [method, headers['content-type'], body]),
    ).toEqual([
      ['POST', 'application/json', '{"a":[1]}'],
      ['PUT', 'application/x-www-form-urlencoded;charset=UTF-8', 'a=x+y&b=true'],
      ['PATCH', 'text/csv', 'raw'],
    ]);
  });

  it('refuses two bodies in one request', async () => {
    await expect(http.post('https://a.example/', { json: 1, body: 'x' })).rejects.toThrow(
      'give only one of json, body',
    );
    expect(sent).toEqual([]);
  });

  it('reads a body any number of times, and checks it when given a schema', async () => {
    const reply = await http.get('https://a.example/');
    await expect(reply.text()).resolves.toBe('{"ok":true}');
    await expect(reply.json(z.object({ ok: z.boolean() }))).resolves.toEqual({ ok: true });
    const wrong = reply.json(z.object({ ok: z.string() }));
    await expect(wrong).rejects.toBeInstanceOf(Permanent);
    await expect(wrong).rejects.toThrow(
      /GET https:\/\/a\.example\/ answered with an unexpected body: \/ok/,
    );
  });

  it('says what came instead of JSON', async () => {
    answer = () => new Response('<html>\n  down</html>', { status: 200 });
    const reply = await http.get('https://a.example/p?token=secret');
    await expect(reply.json()).rejects.toThrow(
      'GET https://a.example/p did not answer with JSON: <html> down</html>',
    );
  });

  it.each([
    [401, AuthError, 'provider.auth_failed', false],
    [403, AuthError, 'provider.auth_failed', false],
    [404, Permanent, 'provider.rejected', false],
    [408, Retryable, 'provider.unavailable', true],
    [429, RateLimited, 'provider.rate_limited', true],
    [503, Retryable, 'provider.unavailable', true],
    [302, Permanent, 'provider.rejected', false],
  ])('maps status %i to %p', async (status, kind, code, retryable) => {
    answer = () => new Response('no '.repeat(500), { status });
    const error: unknown = await http
      .get('https://a.example/p?token=secret')
      .catch((e: unknown) => e);
    expect(error).toBeInstanceOf(kind);
    expect(error).toMatchObject({ stepwell: { code, retryable, details: { status } } });
    const { message } = error as Error;
    expect(message).toMatch(
      new RegExp(`^GET https://a\\.example/p answered ${String(status)}: no no`),
    );
    expect(message).not.toContain('secret');
    expect(message.length).toBeLessThan(400);
  });

  it('tells how long a provider wants to be left alone', async () => {
    answer = () => new Response(null, { status: 429, headers: { 'retry-after': '7' } });
    await expect(http.get('https://a.example/')).rejects.toMatchObject({
      stepwell: { details: { status: 429, retry_after_ms: 7000 } },
    });
  });

  it('gives the answer of a failure when asked to', async () => {
    answer = () => new Response('gone', { status: 410 });
    const reply = await http.delete('https://a.example/', { throwOnError: false });
    expect([reply.status, reply.ok, await reply.text()]).toEqual([410, false, 'gone']);
  });

  it('gives up after its time and when the step ends', async () => {
    answer = () => new Promise(() => undefined);
    await expect(http.get('https://a.example/', { timeoutMs: 5 })).rejects.toMatchObject({
      name: 'Retryable',
      message: 'GET https://a.example/ gave no answer within 5 ms',
    });
    const open = http.get('https://a.example/', { timeoutMs: 60_000 });
    step.abort(new Error('cancelled'));
    await expect(open).rejects.toThrow('cancelled');
  });
});

describe('Retry-After', () => {
  it.each([
    ['120', 120_000],
    ['Fri, 20 Nov 2026 06:00:30 GMT', 30_000],
    ['Fri, 20 Nov 2026 05:00:00 GMT', 0],
    ['soon', undefined],
    ['-5', undefined],
    ['2026-11-20T06:00:30Z', undefined],
    ['', undefined],
    [null, undefined],
  ])('%p waits %p ms', (value, expected) => {
    expect(parseRetryAfter(value, NOW)).toBe(expected);
  });
});
