import { describe, expect, it } from '@jest/globals';
import type { ActionManifest, HttpTemplate } from '@stepwell/plugin-sdk';

import type { JsonValue } from '../../common/json.js';
import type { ProviderResult } from '../../common/provider-result.js';
import { HostCallError } from '../sandbox.js';
import type { OutboundRequest } from '../sandbox.js';
import { answering, callOf, FakeHost, httpAction } from './declarative.fake.js';
import type { StepCall } from '../sandbox.js';
import { DeclarativeSandbox } from './declarative-sandbox.js';

const never = new AbortController().signal;
const NOW = Date.UTC(2026, 0, 1);
const sandbox = new DeclarativeSandbox({ now: () => NOW });

async function send(
  http: Partial<HttpTemplate>,
  input: JsonValue = {},
  more: Partial<StepCall> = {},
): Promise<{ request: OutboundRequest; body: string; result: ProviderResult }> {
  const host = answering(200, { ok: true });
  const call = callOf(httpAction(http, { credential: 'key' }), input, more);
  const result = await sandbox.run(call, host, never);
  const [request] = host.requests;
  if (request === undefined) throw new Error(`nothing was sent: ${result.message}`);
  return {
    request,
    result,
    body: request.body === null ? '' : new TextDecoder().decode(request.body),
  };
}

async function refusal(
  http: Partial<HttpTemplate>,
  input: JsonValue = {},
): Promise<ProviderResult['error']> {
  const host = answering(200, null);
  const { error } = await sandbox.run(
    callOf(httpAction(http, { credential: 'key' }), input),
    host,
    never,
  );
  expect(host.requests).toEqual([]);
  return error;
}

async function answered(
  host: FakeHost,
  http: Partial<HttpTemplate> = {},
  more: Partial<ActionManifest> = {},
): Promise<ProviderResult> {
  return await sandbox.run(callOf(httpAction(http, more)), host, never);
}

function texts(text: string): [string, string][] {
  return Array.from({ length: 100 }, (_, i) => [`n${String(i)}`, text]);
}

describe('the request of an HTTP template', () => {
  it.each<[string, Partial<HttpTemplate>]>([
    ['query', { query: Object.fromEntries(texts('{{input.text}}')) }],
    ['form', { form: Object.fromEntries(texts('{{input.text}}')) }],
    ['headers', { headers: Object.fromEntries(texts('{{input.text}}')) }],
    ['path', { url: `https://a.example${'/{{input.text}}'.repeat(100)}` }],
  ])('gives up when a large text is written into its %s again and again', async (_, http) => {
    const error = await refusal(http, { text: 'a'.repeat(500_000) });
    expect(error?.code).toMatch(/plugin\.(cpu_exceeded|output_too_large)/);
  });

  it.each<[string, JsonValue, string]>([
    [
      'https://a.example/u/{{input.id}}/x',
      { id: 'a/b?c#d e%' },
      'https://a.example/u/a%2Fb%3Fc%23d%20e%25/x',
    ],
    ['https://a.example/f/{{input.a}}.{{input.b}}', { a: 'x', b: 'y' }, 'https://a.example/f/x.y'],
    [
      'https://a.example/s?q={{input.q}}&n={{input.n}}',
      { q: 'a&b' },
      'https://a.example/s?q=a%26b&n=',
    ],
    ['https://{{input.shop}}.example/x', { shop: 'my-shop' }, 'https://my-shop.example/x'],
    [
      '{{input.base}}/v1/{{input.id}}',
      { base: 'https://b.example/api/', id: 7 },
      'https://b.example/api/v1/7',
    ],
    ['{{input.url}}', { url: 'https://c.example/x?y=1#z' }, 'https://c.example/x?y=1#z'],
    ['https://a.example/lone/{{input.s}}', { s: '\ud800' }, 'https://a.example/lone/%EF%BF%BD'],
  ])('%s', async (url, input, expected) => {
    expect((await send({ url }, input)).request.url).toBe(expected);
  });

  it.each<[string, JsonValue, RegExp]>([
    ['https://a.example/u/{{input.id}}', {}, /\{\{input\.id\}\} in the URL is empty/],
    ['https://a.example/u/{{input.id}}', { id: '' }, /empty/],
    ['https://a.example/u/{{input.id}}/x', { id: '..' }, /"\.\."/],
    ['https://a.example/u/{{input.a}}{{input.b}}/x', { a: '.', b: '.' }, /"\.\."/],
    ['https://a.example/u/%2e{{input.a}}/x', { a: '.' }, /"\.\."/],
    ['https://{{input.host}}/x', { host: 'evil.example/a' }, /no part of a host/],
    ['https://{{input.host}}.a.example/x', { host: 'user@evil.example' }, /no part of a host/],
    ['{{input.base}}/v1', { base: 'file:///etc/passwd' }, /https:\/\//],
    ['{{input.base}}/v1', { base: 'https://a.example/?x=' }, /neither query nor fragment/],
    ['{{input.base}}/v1', { base: ['https://a.example'] }, /https:\/\//],
  ])('refuses %s with %j', async (url, input, message) => {
    expect(await refusal({ url }, input)).toMatchObject({
      code: 'egress.invalid_request',
      retryable: false,
      message: expect.stringMatching(message),
    });
  });

  it('adds the query: no nulls, lists repeated', async () => {
    const query = {
      a: '{{input.a}}',
      none: '{{input.none}}',
      missing: '{{input.x}}',
      list: '{{input.list}}',
      o: '{{input.o}}',
    };
    const input = { a: 'x y&', none: null, list: [1, null, 'ü'], o: { k: 1 } };
    const expected = 'a=x%20y%26&list=1&list=%C3%BC&o=%7B%22k%22%3A1%7D';
    expect((await send({ query }, input)).request.url).toBe(
      `https://api.example/things?${expected}`,
    );
    const url = 'https://api.example/s?fixed=1#frag';
    expect((await send({ url: '{{input.url}}', query: { b: 2 } }, { url })).request.url).toBe(
      'https://api.example/s?fixed=1&b=2',
    );
    expect(
      (await send({ query: { $spread: 'input.query', b: 2 } }, { query: { a: 1 } })).request.url,
    ).toBe('https://api.example/things?a=1&b=2');
  });

  it('sends headers, without those that are null', async () => {
    const headers = {
      'X-A': '{{input.a}}',
      'x-none': '{{input.none}}',
      'Idempotency-Key': '{{idempotencyKey}}',
    };
    const { request } = await send({ headers }, { a: 5, none: null });
    expect(request.headers).toEqual([
      ['X-A', '5'],
      ['Idempotency-Key', 'ex:step:0'],
    ]);
  });

  it.each<[Record<string, string>, JsonValue]>([
    [{ 'X-A': '{{input.a}}' }, { a: 'x\r\nEvil: 1' }],
    [{ 'X-A': 'x{{input.a}}y' }, { a: '\n' }],
    [{ 'X-A': 'x{{input.a}}y' }, { a: '\0' }],
    [{ $spread: 'input.h' }, { h: { 'Evil: 1\r\nX': 'y' } }],
    [{ $spread: 'input.h' }, { h: { '': 'y' } }],
  ])('refuses headers that would break out: %j %j', async (headers, input) => {
    expect(await refusal({ headers }, input)).toMatchObject({ code: 'egress.invalid_request' });
  });

  it('lets written headers win over spread ones, whatever their case', async () => {
    const { request } = await send(
      { headers: { $spread: 'input.h', 'X-Fixed': 'ours' } },
      { h: { 'x-fixed': 'theirs' } },
    );
    expect(request.headers).toEqual([['X-Fixed', 'ours']]);
  });

  it('sends JSON, forms and text of another type', async () => {
    const json = await send({ body: { a: '{{input.a}}', gone: '{{input.x}}' } }, { a: [1] });
    expect([json.body, json.request.headers]).toEqual([
      '{"a":[1]}',
      [['content-type', 'application/json']],
    ]);
    const form = await send({ form: { a: '{{input.a}}', n: null } }, { a: ['x y', 'ü&'] });
    expect([form.body, form.request.headers]).toEqual([
      'a=x+y&a=%C3%BC%26',
      [['content-type', 'application/x-www-form-urlencoded']],
    ]);
    const xml = await send(
      { body: '<a>{{input.a}}</a>', headers: { 'Content-Type': 'text/xml' } },
      { a: 1 },
    );
    expect([xml.body, xml.request.headers]).toEqual(['<a>1</a>', [['Content-Type', 'text/xml']]]);
    expect((await send({ body: '{{input.a}}' }, { a: 'text' })).body).toBe('"text"');
    expect(
      (await send({ method: '{{input.m}}', body: '{{input.x}}' }, { m: 'get' })).request,
    ).toMatchObject({
      method: 'GET',
      body: null,
      headers: [],
    });
  });

  it('refuses methods that are none, and bodies that are too large', async () => {
    expect(await refusal({ method: '{{input.m}}' }, { m: 'CONNECT' })).toMatchObject({
      code: 'egress.invalid_request',
    });
    const body = Array(60).fill('{{input.text}}');
    expect(await refusal({ body }, { text: 'x'.repeat(100_000) })).toMatchObject({
      code: 'plugin.message_too_large',
    });
  });

  it('shows a parameter that is an expression neither the credential nor the key of the call', async () => {
    const input = {
      type: 'object',
      properties: { note: { 'x-stepwell-expression': true } },
    };
    const action = httpAction({ body: { $evaluate: '/note' } }, { credential: 'key', input });
    for (const note of ['${credential.account}', '${idempotencyKey}']) {
      const host = answering(200, null);
      const call = callOf(action, { note }, { credential: { account: 'a' } });
      const { error } = await sandbox.run(call, host, never);
      expect([error?.code, host.requests.length]).toEqual(['reference.missing', 0]);
    }
  });

  it.each<[base: string, url: RegExp]>([
    ['https://me.example/api/v2/', /^https:\/\/me\.example\/api\/v2\/chat$/],
    ['http://127.0.0.1:9000/v1', /^http:\/\/127\.0\.0\.1:9000\/v1\/chat$/],
  ])('begins at the base URL %s of the credential', async (base_url, url) => {
    const call = { credential: { base_url } };
    const { request } = await send({ url: '{{ credential.base_url }}/chat' }, {}, call);
    expect(request.url).toMatch(url);
  });

  it('sends nothing when the base URL of the credential is missing', async () => {
    expect(await refusal({ url: '{{ credential.base_url }}/chat' })).toMatchObject({
      code: 'egress.invalid_request',
      message: '{{ credential.base_url }} in the URL is empty',
    });
  });

  it('reads the open fields of the credential, and passes the wall time on', async () => {
    const { request } = await send(
      { url: '{{credential.base_url}}/x' },
      {},
      { credential: { base_url: 'https://me.example' } },
    );
    expect(request).toMatchObject({
      url: 'https://me.example/x',
      timeoutMs: 30_000,
      redirect: 'follow',
    });
  });
});

describe('the answer to an HTTP template', () => {
  it('gives the parsed body, or what the output template makes of it', async () => {
    expect(await answered(answering(201, { id: 5 }))).toMatchObject({
      success: true,
      output: { id: 5 },
      metadata: { http_status: 201 },
    });
    const output = {
      id: '{{response.body.id}}',
      etag: '{{response.headers.etag}}',
      status: '{{response.status}}',
    };
    expect((await answered(answering(200, { id: 5 }, { ETag: 'w1' }), { output })).output).toEqual({
      id: 5,
      etag: 'w1',
      status: 200,
    });
  });

  it.each<[JsonValue | Uint8Array, string, JsonValue]>([
    ['{"a":1}', 'text/plain', '{"a":1}'],
    ['{"a":1}', 'application/vnd.api+json', { a: 1 }],
    ['<html>', 'application/json', '<html>'],
    ['', 'application/json', null],
    [new Uint8Array([0xff, 0x00]), 'image/png', '/wA='],
  ])('reads %j as %s', async (body, type, expected) => {
    expect((await answered(answering(200, body, { 'Content-Type': type }))).output).toEqual(
      expected,
    );
  });

  it('refuses JSON that reaches for prototypes', async () => {
    const host = answering(200, '{"__proto__":{"x":1}}', { 'Content-Type': 'application/json' });
    expect((await answered(host)).error).toMatchObject({ code: 'provider.rejected' });
    const header = answering(200, {}, { ['__proto__']: 'x', constructor: 'y' });
    expect((await answered(header, { output: '{{keys(response.headers)}}' })).output).toEqual([
      'content-type',
    ]);
  });

  it.each<[number, string, boolean]>([
    [400, 'provider.rejected', false],
    [401, 'provider.auth_failed', false],
    [403, 'provider.auth_failed', false],
    [404, 'provider.rejected', false],
    [302, 'provider.rejected', false],
    [429, 'provider.rate_limited', true],
    [408, 'provider.unavailable', true],
    [500, 'provider.unavailable', true],
    [503, 'provider.unavailable', true],
  ])('maps %d of a read', async (status, code, retryable) => {
    const { error } = await answered(answering(status, { why: 'no' }), {}, { effects: 'read' });
    expect(error).toMatchObject({ code, retryable, details: { status } });
    expect(error?.message).toContain('{"why":"no"}');
  });

  it('says that the outcome of a server error is unknown unless the provider asks to come back', async () => {
    expect((await answered(answering(502, null))).error).toMatchObject({
      code: 'provider.unavailable',
      retryable: true,
      details: { status: 502, outcome: 'unknown' },
    });
    const asking = answering(503, null, { 'Retry-After': '7' });
    expect((await answered(asking)).error).toMatchObject({
      retryable: true,
      details: { status: 503, retry_after_ms: 7000 },
    });
    expect((await answered(asking)).error?.details).not.toHaveProperty('outcome');
    expect((await answered(answering(429, null))).error?.details).toEqual({ status: 429 });
  });

  it.each<[string, number | undefined]>([
    ['120', 120_000],
    ['Thu, 01 Jan 2026 00:01:00 GMT', 60_000],
    ['Wed, 31 Dec 2025 23:00:00 GMT', 0],
    ['-5', undefined],
    ['soon', undefined],
  ])('reads Retry-After %s', async (header, expected) => {
    const { error } = await answered(answering(429, null, { 'Retry-After': header }));
    expect(error?.details?.['retry_after_ms']).toBe(expected);
  });

  it('lets the action say what success is, and how it fails', async () => {
    const http = {
      okWhen: 'response.body.ok == true',
      errorMessage: 'Slack: {{response.body.error}}',
    };
    expect((await answered(answering(200, { ok: true }), http)).success).toBe(true);
    expect(await answered(answering(200, { ok: false, error: 'no_channel' }), http)).toMatchObject({
      success: false,
      message: 'Slack: no_channel',
      error: { code: 'provider.rejected' },
    });
    const lenient = { okWhen: 'response.status == 200 || response.status == 404' };
    expect((await answered(answering(404, null), lenient)).success).toBe(true);
    const broken = { errorMessage: '{{ upper(response.body.none) }}' };
    expect((await answered(answering(404, 'nope'), broken)).message).toBe(
      'POST https://api.example/things answered 404: nope',
    );
  });

  it.each<[status: number, body: JsonValue, code: string, retryable: boolean]>([
    [200, { error: 'invalid_auth' }, 'provider.auth_failed', false],
    [200, { error: 'ratelimited' }, 'provider.rate_limited', true],
    [200, { error: 'fatal_error' }, 'provider.unavailable', true],
    [429, { error: 'insufficient_quota' }, 'provider.rejected', false],
    [200, { error: 'no_channel' }, 'provider.rejected', false],
    [429, { error: 'made_up' }, 'provider.rate_limited', true],
    [503, { error: 'null' }, 'provider.unavailable', true],
    [401, 'no object', 'provider.auth_failed', false],
  ])('lets the action tell what a %d of %j is', async (status, body, code, retryable) => {
    const errorCode = `
      response.body.error == "invalid_auth" ? "provider.auth_failed"
      : response.body.error == "ratelimited" ? "provider.rate_limited"
      : response.body.error == "fatal_error" ? "provider.unavailable"
      : response.body.error == "insufficient_quota" ? "provider.rejected"
      : response.body.error == "made_up" ? "credential.missing"
      : response.body.error == "null" ? upper(null) : null`;
    const http = { okWhen: 'response.body.ok == true', errorCode };
    const { error } = await answered(answering(status, body, { 'Retry-After': '3' }), http);
    expect(error).toMatchObject({ code, retryable, details: { status, retry_after_ms: 3000 } });
  });

  it('does not ask for the code of a success, and says when an outcome is unknown', async () => {
    const http = { errorCode: '"provider.unavailable"' };
    expect((await answered(answering(200, {}), http)).success).toBe(true);
    const { error } = await answered(answering(200, {}), { ...http, okWhen: 'false' });
    expect(error?.details).toEqual({ status: 200, outcome: 'unknown' });
  });

  it('cuts what it shows of the body', async () => {
    const { message } = await answered(answering(400, 'x'.repeat(5000)));
    expect(message.length).toBeLessThan(360);
  });

  it('tells what the host refused', async () => {
    const host = new FakeHost(() =>
      Promise.reject(new HostCallError('egress.denied', 'not this host', { host: 'h' })),
    );
    expect((await answered(host)).error).toEqual({
      code: 'egress.denied',
      message: 'not this host',
      retryable: false,
      details: { host: 'h' },
    });
  });

  it('ends at once when the signal aborts, though the host goes on', async () => {
    const controller = new AbortController();
    const host = new FakeHost((_request, signal) => {
      expect(signal).toBe(controller.signal);
      return new Promise(() => undefined);
    });
    const running = sandbox.run(callOf(httpAction({})), host, controller.signal);
    controller.abort(new DOMException('late', 'TimeoutError'));
    expect((await running).error).toMatchObject({ code: 'step.timed_out' });
  });

  it('does not hide a fault of the host', async () => {
    const host = new FakeHost(() => Promise.reject(new TypeError('a bug')));
    await expect(answered(host)).rejects.toThrow('a bug');
  });
});
