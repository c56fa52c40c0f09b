import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { JsonValue } from '@stepwell/plugin-sdk';

import plugin from './index.js';

describe('http.request', () => {
  const realFetch = globalThis.fetch;
  let sent: { url: string; init: RequestInit }[];
  let answer: Response;

  beforeEach(() => {
    sent = [];
    answer = new Response('{"id":7}', {
      status: 201,
      headers: { 'Content-Type': 'application/json' },
    });
    globalThis.fetch = ((url: URL, init: RequestInit) => {
      sent.push({ url: url.href, init });
      return Promise.resolve(answer);
    }) as typeof fetch;
  });

  afterEach(() => {
    globalThis.fetch = realFetch;
  });

  it('sends what the step says and gives the answer as data', async () => {
    const output = await request({
      method: 'POST',
      url: 'https://a.example/items?x=1',
      headers: { 'X-Trace': 't' },
      query: { tag: ['a', 'b'] },
      body: { name: 'n' },
    });
    expect(output).toEqual({
      status: 201,
      headers: { 'content-type': 'application/json' },
      body: { id: 7 },
    });
    const [{ url, init } = { url: '', init: {} }] = sent;
    expect(url).toBe('https://a.example/items?x=1&tag=a&tag=b');
    expect([init.method, init.body]).toEqual(['POST', '{"name":"n"}']);
    expect(Object.fromEntries(new Headers(init.headers))).toEqual({
      'content-type': 'application/json',
      'x-trace': 't',
    });
  });

  it('sends a text as it is', async () => {
    await request({ method: 'PUT', url: 'https://a.example/', body: 'a,b' });
    expect(sent[0]?.init.body).toBe('a,b');
  });

  it('fails on a bad status unless told not to', async () => {
    answer = new Response('no such item', { status: 404 });
    await expect(request({ url: 'https://a.example/' })).rejects.toMatchObject({
      stepwell: { code: 'provider.rejected', details: { status: 404 } },
      message: 'GET https://a.example/ answered 404: no such item',
    });
    answer = new Response('no such item', { status: 404 });
    const lenient = request({ url: 'https://a.example/', fail_on_error: false });
    await expect(lenient).resolves.toMatchObject({ status: 404, body: 'no such item' });
  });

  it.each([
    [{ url: '/items' }, '/url'],
    [{ url: 'https://a.example/', body: 1 }, '/body'],
  ])('points at what is wrong in %j', async (input, pointer) => {
    await expect(request(input)).rejects.toMatchObject({
      stepwell: { code: 'input.invalid', details: { pointer } },
    });
    expect(sent).toEqual([]);
  });
});

function request(input: JsonValue): Promise<unknown> {
  return plugin.run('request', {
    input,
    credential: null,
    idempotencyKey: 'execution:step:0',
    signal: new AbortController().signal,
    now: () => 0,
    log: () => undefined,
  });
}
