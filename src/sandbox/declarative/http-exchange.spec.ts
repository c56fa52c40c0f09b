import { describe, expect, it } from '@jest/globals';
import type { HttpTemplate } from '@stepwell/plugin-sdk';

import type { JsonValue } from '../../common/json.js';
import type { ProviderResult } from '../../common/provider-result.js';
import { HostCallError } from '../sandbox.js';
import { answering, callOf, FakeHost, httpAction } from './declarative.fake.js';
import { DeclarativeSandbox } from './declarative-sandbox.js';

const never = new AbortController().signal;
const sandbox = new DeclarativeSandbox();

async function run(
  http: Partial<HttpTemplate>,
  input: JsonValue = {},
  host = answering(200, { ok: true }),
): Promise<{ result: ProviderResult; host: FakeHost }> {
  return { result: await sandbox.run(callOf(httpAction(http), input), host, never), host };
}

describe('a body that is text or JSON', () => {
  const sent = async (input: JsonValue, headers: Record<string, string> = {}): Promise<unknown> => {
    const { host } = await run({ body: '{{input.a}}', bodyAs: 'textOrJson', headers }, input);
    const [{ body, headers: given } = { body: null, headers: [] }] = host.requests;
    return [body === null ? null : new TextDecoder().decode(body), given];
  };

  it.each<[JsonValue, Record<string, string>, string | null, [string, string][]]>([
    [{ a: 'x' }, {}, 'x', [['content-type', 'text/plain;charset=UTF-8']]],
    [
      { a: '{}' },
      { 'Content-Type': 'application/json' },
      '{}',
      [['Content-Type', 'application/json']],
    ],
    [{ a: [1] }, {}, '[1]', [['content-type', 'application/json']]],
    [{ a: 0 }, {}, '0', [['content-type', 'application/json']]],
    [{ a: null }, {}, null, []],
    [{}, {}, null, []],
  ])('%j with %j', async (input, headers, body, expected) => {
    expect(await sent(input, headers)).toEqual([body, expected]);
  });

  it('is JSON when nothing else is said', async () => {
    const { host } = await run({ body: '{{input.a}}' }, { a: null });
    expect(new TextDecoder().decode(host.requests[0]?.body ?? new Uint8Array())).toBe('null');
  });

  it('has the size of any body', async () => {
    const text = 'ü'.repeat(3 * 1024 * 1024);
    const { result, host } = await run({ body: '{{input.a}}', bodyAs: 'textOrJson' }, { a: text });
    expect([result.error?.code, host.requests]).toEqual(['plugin.message_too_large', []]);
  });
});

describe('what a request requires', () => {
  const http: Partial<HttpTemplate> = {
    require: [
      {
        that: 'input.from <= input.to',
        message: '{{input.from}} is after {{input.to}}',
        pointer: '/from',
      },
      { that: 'input.to < 100', message: 'too late' },
    ],
  };

  it('is sent when all of it holds', async () => {
    expect((await run(http, { from: 1, to: 2 })).host.requests).toHaveLength(1);
  });

  it.each<[JsonValue, object]>([
    [
      { from: 300, to: 200 },
      { message: '300 is after 200', details: { pointer: '/from' } },
    ],
    [
      { from: 1, to: 200 },
      { message: 'too late', details: {} },
    ],
  ])('is not sent with %j', async (input, expected) => {
    const { result, host } = await run(http, input);
    expect(result.error).toMatchObject({ code: 'input.invalid', retryable: false, ...expected });
    expect(host.requests).toEqual([]);
  });
});

describe('a URL that is given whole', () => {
  it.each([
    ['HTTPS://A.Example:443/x y', 'https://a.example/x%20y'],
    ['  http://a.example  ', 'http://a.example/'],
    ['https://a.example/a/../b', 'https://a.example/b'],
  ])('%s is sent as it will be judged', async (url, expected) => {
    expect((await run({ url: '{{input.url}}' }, { url })).host.requests[0]?.url).toBe(expected);
  });

  it.each<[string, JsonValue, object]>([
    [
      '{{ input.u["a/b"] }}',
      { u: { 'a/b': '/x' } },
      { code: 'input.invalid', details: { pointer: '/u/a~1b' } },
    ],
    ['{{ concat(input.u) }}', { u: '/x' }, { code: 'egress.invalid_request' }],
    [
      '{{ input.u }}',
      { u: 'file:///etc/passwd' },
      { code: 'egress.denied', details: { reason: 'scheme' } },
    ],
    ['{{ input.u }}', { u: 'javascript:1' }, { code: 'egress.denied' }],
  ])('%s of %j is refused', async (url, input, expected) => {
    const { result, host } = await run({ url }, input);
    expect(result.error).toMatchObject(expected);
    expect(host.requests).toEqual([]);
  });
});

describe('the time that a request has', () => {
  const http = { timeoutMs: '{{input.t}}', url: 'https://a.example/p?key=k' };
  const late = (details: Record<string, JsonValue>): FakeHost =>
    new FakeHost(() => Promise.reject(new HostCallError('egress.timed_out', 'late', details)));

  it.each<[JsonValue, number]>([
    [{ t: 5 }, 5],
    [{ t: 90_000 }, 30_000],
    [{ t: null }, 30_000],
    [{}, 30_000],
  ])('%j is %d ms', async (input, expected) => {
    expect((await run(http, input)).host.requests[0]?.timeoutMs).toBe(expected);
  });

  it.each<JsonValue>([0, 1.5, 300_001, '5', true])('is not %j', async (t) => {
    const { result, host } = await run(http, { t });
    expect([result.error?.code, host.requests]).toEqual(['plugin.threw', []]);
  });

  it("is the provider's fault when it is over, unless it is the step's", async () => {
    const own = await run(http, { t: 5 }, late({ reason: 'deadline', sent: true }));
    expect(own.result.error).toEqual({
      code: 'provider.unavailable',
      message: 'POST https://a.example/p gave no answer within 5 ms',
      retryable: true,
      details: { outcome: 'unknown' },
    });
    const unsent = await run(http, { t: 5 }, late({ reason: 'deadline', sent: false }));
    expect(unsent.result.error?.details).toBeUndefined();
    for (const [t, reason] of [
      [30_000, 'deadline'],
      [5, 'connect_timeout'],
    ] as const) {
      const other = await run(http, { t }, late({ reason, sent: false }));
      expect(other.result.error?.code).toBe('egress.timed_out');
    }
  });
});

describe('what templates see of an answer', () => {
  const see = async (host: FakeHost, output: JsonValue): Promise<JsonValue> =>
    (await run({ output }, {}, host)).result.output;

  it('says when the body is base64, and only then', async () => {
    const output = { body: '{{response.body}}', encoding: '{{response.bodyEncoding}}' };
    expect(await see(answering(200, new Uint8Array([0xff])), output)).toEqual({
      body: '/w==',
      encoding: 'base64',
    });
    expect(await see(answering(200, 'text'), output)).toEqual({ body: 'text' });
    expect(await see(answering(200, ''), output)).toEqual({ body: null });
  });

  it('reads bytes inside a larger buffer, and text without its mark', async () => {
    const around = new TextEncoder().encode('((\ufeff{"a":1}))');
    const host = answering(200, around.subarray(2, -2));
    expect(await see(host, '{{response.body}}')).toEqual({ a: 1 });
  });

  it('gives the last of several cookies, which cannot be joined', async () => {
    const host = new FakeHost((request) =>
      Promise.resolve({
        ...{ status: 200, statusText: '', url: request.url, redirected: false },
        headers: [
          ['Via', 'a'],
          ['Set-Cookie', 'a=1'],
          ['via', 'b'],
          ['Set-Cookie', 'b=2'],
        ],
        body: new Uint8Array(),
      }),
    );
    expect(await see(host, '{{response.headers}}')).toEqual({ via: 'a, b', 'set-cookie': 'b=2' });
  });
});
