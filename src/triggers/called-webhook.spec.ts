import { describe, expect, it } from '@jest/globals';

import { readCall, readFields } from './called-webhook.js';

const CALL = { method: 'POST', query: {}, headers: {}, body: undefined };

describe('what a call gives to its run', () => {
  it('is the body as input, once, and the rest as trigger', () => {
    const { input, trigger } = readCall({
      method: 'PUT',
      query: { a: '1', b: ['2', '3'] },
      headers: { 'x-event': 'push', host: 'example.org' },
      body: { x: [1] },
    });
    expect(input).toEqual({ x: [1] });
    expect(trigger).toEqual({
      method: 'PUT',
      query: { a: '1', b: ['2', '3'] },
      headers: { 'x-event': 'push', host: 'example.org' },
    });
  });

  it.each([null, 'text', 0, false, [1]])('is a body that is no object as it is: %j', (body) => {
    const { input, trigger } = readCall({ ...CALL, query: { a: '1' }, body });
    expect(input).toEqual(body);
    expect(trigger).not.toHaveProperty('body');
  });

  it('is the query as input where there is no body', () => {
    expect(readCall({ ...CALL, method: 'GET', query: { a: '1' } })).toMatchObject({
      input: { a: '1' },
      trigger: { body: null },
    });
    expect(readCall(CALL).input).toEqual({});
  });

  it('holds no header that secrets are sent in, none of proxies, and none that reaches into prototypes', () => {
    const kept = {
      host: 'example.org',
      'content-type': 'application/json',
      'x-hub-signature-256': 'sha256=00',
      'x-github-event': 'push',
      'x-author': 'ada',
      'idempotency-key': 'k',
    };
    const withheld = [
      ...['authorization', 'proxy-authorization', 'cookie', 'set-cookie', 'x-api-key', 'apikey'],
      ...['x-gitlab-token', 'x-telegram-bot-api-secret-token', 'x-auth', 'x-amz-security-token'],
      ...['api_key', 'x-access-key', 'x-functions-key', 'ocp-apim-subscription-key'],
      ...['cf-access-jwt-assertion', 'x-amzn-oidc-data', 'x-session-id', 'x-passwd', 'credential'],
      ...['x-forwarded-for', 'x-forwarded-host', 'forwarded', 'via', 'x-real-ip', 'connection'],
      ...['constructor', 'prototype'],
    ];
    const headers = Object.fromEntries(withheld.map((name) => [name, 'x']));
    const read = readCall({ ...CALL, headers: { ...headers, ...kept } });
    expect(read.trigger['headers']).toEqual(kept);
  });

  it('takes no fields that would reach into prototypes or that are no text', () => {
    for (const name of ['__proto__', 'constructor', 'prototype']) {
      const fields = Object.fromEntries([[name, 'x']]);
      expect(() => readFields(fields, 'the query')).toThrow(/^the query can't be read: key "/);
    }
    expect(() => readFields({ a: 'x\0' }, 'the form')).toThrow(/^the form holds NUL/);
    expect(() => readFields({ a: 'x\ud800' }, 'the form')).toThrow(/surrogates/);
  });
});
