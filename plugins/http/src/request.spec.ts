import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ActionManifest, JsonObject, JsonValue } from '@stepwell/plugin-sdk';
import { stop } from 'esbuild';

import type { ProviderResult } from '../../../src/common/provider-result.js';
import { fakePorts } from '../../../src/plugins/intake/intake-ports.fake.js';
import { packPlugin } from '../../../src/plugins/intake/pack-plugin.js';
import type { PackedPlugin } from '../../../src/plugins/intake/pack-plugin.js';
import { findTemplateProblems } from '../../../src/sandbox/declarative/compile-action.js';
import { DeclarativeSandbox } from '../../../src/sandbox/declarative/declarative-sandbox.js';
import { DEFAULT_LIMITS, HostCallError } from '../../../src/sandbox/sandbox.js';
import type { OutboundRequest, OutboundResponse } from '../../../src/sandbox/sandbox.js';

const URL_OF_ALL = 'https://a.example/';

interface Sent {
  result: ProviderResult;
  request: OutboundRequest | undefined;
  body: string | null;
  headers: Record<string, string>;
}

type Answer = Partial<Omit<OutboundResponse, 'body'>> & { body?: string | Uint8Array };

describe('http.request', () => {
  const sandbox = new DeclarativeSandbox({ now: () => 0 });
  let plugin: PackedPlugin;
  let action: ActionManifest;

  beforeAll(async () => {
    const dir = fileURLToPath(new URL('..', import.meta.url));
    plugin = await packPlugin(dir, { ...fakePorts(), findTemplateProblems });
    [action] = plugin.manifest.actions as [ActionManifest];
  });

  afterAll(() => stop());

  async function send(input: JsonObject, answer: Answer | HostCallError = {}): Promise<Sent> {
    const requests: OutboundRequest[] = [];
    const call = {
      ...{ id: 'call', tenantId: 'tenant', action, input, credential: null },
      plugin: { id: 'http', version: '1.0.0', digest: 'sha256-x', tier: plugin.manifest.tier },
      loadBundle: () => Promise.reject(new Error('data has no code to load')),
      idempotencyKey: 'execution:step:0',
      limits: { ...DEFAULT_LIMITS, wallMs: 300_000 },
    };
    const host = {
      http: (request: OutboundRequest) => {
        requests.push(request);
        return answer instanceof HostCallError
          ? Promise.reject(answer)
          : Promise.resolve(respond(request, answer));
      },
      log: () => undefined,
    };
    const result = await sandbox.run(call, host, new AbortController().signal);
    const [request] = requests;
    return {
      result,
      request,
      body: request?.body ? new TextDecoder().decode(request.body) : null,
      headers: Object.fromEntries(
        request?.headers.map(([name, value]) => [name.toLowerCase(), value]) ?? [],
      ),
    };
  }

  it('keeps the contract that plans rely on', () => {
    expect(plugin.manifest.contracts).toEqual({
      request: 'sha256-8313a81ed246ccc83f0ccec5d80e5d8d2343582f005db71b2d13d102427d9b58',
    });
  });

  it('sends what the step says and gives the answer as data', async () => {
    const { result, request, body, headers } = await send(
      {
        method: 'POST',
        url: 'https://a.example/items?x=1',
        headers: { 'X-Trace': 't' },
        query: { tag: ['a', 'b'], none: null, n: 1, yes: true },
        body: { name: 'n' },
      },
      { status: 201, headers: [['Content-Type', 'application/json']], body: '{"id":7}' },
    );
    expect(result.output).toEqual({
      status: 201,
      headers: { 'content-type': 'application/json' },
      body: { id: 7 },
    });
    expect(request).toMatchObject({
      method: 'POST',
      url: 'https://a.example/items?x=1&tag=a&tag=b&n=1&yes=true',
      redirect: 'follow',
      timeoutMs: 300_000,
    });
    expect([body, headers]).toEqual([
      '{"name":"n"}',
      { 'content-type': 'application/json', 'x-trace': 't' },
    ]);
  });

  it('is a GET without a body when only the URL is given', async () => {
    const { request } = await send({ url: 'HTTPS://A.example/a b#c', query: { q: 'x' } });
    expect(request).toMatchObject({
      method: 'GET',
      url: 'https://a.example/a%20b?q=x',
      headers: [],
      body: null,
    });
  });

  it.each<[JsonValue, Record<string, string>, string | null, string | undefined]>([
    ['a,b', {}, 'a,b', 'text/plain;charset=UTF-8'],
    ['a,b', { 'Content-Type': 'text/csv' }, 'a,b', 'text/csv'],
    ['{"a": 1}', { 'content-type': 'application/json' }, '{"a": 1}', 'application/json'],
    [{ a: 'ü' }, {}, '{"a":"ü"}', 'application/json'],
    [[1], { 'content-type': 'application/vnd.api+json' }, '[1]', 'application/vnd.api+json'],
    [7, {}, '7', 'application/json'],
    [false, {}, 'false', 'application/json'],
    [null, {}, null, undefined],
  ])('sends the body %j with %j', async (given, headers, body, type) => {
    const sent = await send({ method: 'PUT', url: URL_OF_ALL, body: given, headers });
    expect([sent.body, sent.headers['content-type']]).toEqual([body, type]);
  });

  it.each<[JsonObject, string, string]>([
    [{ url: '/items' }, '/url', '"/items" is not an absolute URL'],
    [{ url: URL_OF_ALL, body: 1 }, '/body', 'a GET request has no body'],
    [{ url: URL_OF_ALL, body: '', method: 'HEAD' }, '/body', 'a HEAD request has no body'],
  ])('points at what is wrong in %j', async (input, pointer, message) => {
    const { result, request } = await send(input);
    expect(result.error).toMatchObject({
      code: 'input.invalid',
      message: expect.stringContaining(message),
      details: { pointer },
    });
    expect(request).toBeUndefined();
  });

  it('speaks http and https alone', async () => {
    const { result, request } = await send({ url: 'ftp://a.example/' });
    expect([result.error?.code, request]).toEqual(['egress.denied', undefined]);
  });

  it('fails on a bad status unless told not to', async () => {
    const answer = { status: 404, body: 'no such item' };
    const url = 'https://a.example/items?key=k';
    expect((await send({ url }, answer)).result).toMatchObject({
      message: 'GET https://a.example/items answered 404: no such item',
      error: { code: 'provider.rejected', details: { status: 404 } },
    });
    const lenient = await send({ url, fail_on_error: false }, answer);
    expect(lenient.result.output).toEqual({ status: 404, headers: {}, body: 'no such item' });
  });

  it.each<[number, string, boolean]>([
    [401, 'provider.auth_failed', false],
    [429, 'provider.rate_limited', true],
    [503, 'provider.unavailable', true],
    [304, 'provider.rejected', false],
  ])('tells what a %d is, and when to come back', async (status, code, retryable) => {
    const headers: [string, string][] = [['Retry-After', '7']];
    const { result } = await send({ url: URL_OF_ALL }, { status, headers });
    expect(result.error).toMatchObject({ code, retryable, details: { retry_after_ms: 7000 } });
    const unasked = await send({ url: URL_OF_ALL }, { status });
    const unknown = status === 503 ? { outcome: 'unknown' } : {};
    expect(unasked.result.error?.details).toEqual({ status, ...unknown });
  });

  it.each<[string, string, JsonValue]>([
    ['application/json', '{"a":1}', { a: 1 }],
    ['application/problem+json; charset=utf-8', '[1]', [1]],
    ['application/json', '\ufeff[1]', [1]],
    ['application/json', '<html>', '<html>'],
    ['application/json', 'null', null],
    ['text/plain', '{"a":1}', '{"a":1}'],
    ['text/html; note=/json', 'x', 'x'],
    ['', '', null],
  ])('reads a body of type %s: %s', async (type, body, expected) => {
    const { result } = await send({ url: URL_OF_ALL }, { headers: [['content-type', type]], body });
    expect(result.output).toMatchObject({ body: expected });
    expect(result.output).not.toHaveProperty('body_encoding');
  });

  it('gives a body as base64 when it is no text, however long', async () => {
    const image = new Uint8Array(200_000).fill(0xff);
    const { result } = await send({ url: URL_OF_ALL }, { body: image });
    const { body, body_encoding } = result.output as { body: string; body_encoding: string };
    expect(body_encoding).toBe('base64');
    expect(Buffer.from(body, 'base64').equals(image)).toBe(true);
  });

  it('joins repeated headers, but no cookies', async () => {
    const headers: [string, string][] = [
      ['Link', '<a>'],
      ['link', '<b>'],
      ['Set-Cookie', 'a=1; Expires=Thu, 01 Jan 2026 00:00:00 GMT'],
      ['Set-Cookie', 'b=2'],
    ];
    const { result } = await send({ url: URL_OF_ALL }, { headers });
    expect(result.output).toMatchObject({ headers: { link: '<a>, <b>', 'set-cookie': 'b=2' } });
  });

  it('gives the answer no more time than the step says', async () => {
    const over = (sent: boolean): HostCallError =>
      new HostCallError('egress.timed_out', 'late', { reason: 'deadline', sent });
    const input = { url: 'https://a.example/slow?key=k', timeout_ms: 50 };
    const { request, result } = await send(input, over(true));
    expect(request?.timeoutMs).toBe(50);
    expect(result.error).toEqual({
      code: 'provider.unavailable',
      message: 'GET https://a.example/slow gave no answer within 50 ms',
      retryable: true,
      details: { outcome: 'unknown' },
    });
    const unsent = await send(input, over(false));
    expect(unsent.result.error).not.toHaveProperty('details');
    // Without a time of its own it is the step's limit that was too short.
    const limit = await send({ url: URL_OF_ALL }, over(true));
    expect(limit.result.error?.code).toBe('egress.timed_out');
  });
});

function respond(request: OutboundRequest, answer: Answer): OutboundResponse {
  const { body = '', ...head } = answer;
  return {
    ...{ status: 200, statusText: '', url: request.url, redirected: false, headers: [] },
    ...head,
    body: typeof body === 'string' ? new TextEncoder().encode(body) : body,
  };
}
