import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import type { JsonValue } from '../../common/json.js';
import { readChildMessage, type ChildMessage } from './messages.js';

const request = {
  method: 'GET',
  url: 'https://a.test/',
  headers: [['a', 'b']],
  redirect: 'follow',
  hasBody: false,
};

describe('readChildMessage', () => {
  it.each([
    { type: 'hello', node: 'v24.0.0' },
    { type: 'started', call: 'c' },
    { type: 'idle', call: 'c' },
    { type: 'abort', call: 'c', id: 1 },
    { type: 'http', call: 'c', id: 1, request },
    { type: 'http', call: 'c', id: 1, request: { ...request, timeoutMs: 5 } },
    { type: 'log', call: 'c', level: 'warn', message: 'm' },
    { type: 'done', call: 'c', ok: true },
    { type: 'done', call: 'c', ok: false, code: 'plugin.threw', message: 'm' },
    {
      type: 'done',
      call: 'c',
      ok: false,
      code: 'provider.rejected',
      message: 'm',
      retryable: false,
    },
  ])('reads %j', (message) => {
    expect(readChildMessage(message)).toEqual(message);
  });

  it.each([
    null,
    [],
    'done',
    {},
    { type: 'done' },
    { type: 'exec', call: 'c' },
    { type: 'constructor', call: 'c' },
    { type: 'started', call: 1 },
    { type: 'abort', call: 'c', id: 1.5 },
    { type: 'log', call: 'c', level: 'fatal', message: 'm' },
    { type: 'log', call: 'c', level: 'info', message: 1 },
    { type: 'done', call: 'c', ok: 'true' },
    { type: 'done', call: 'c', ok: false, code: 'x' },
    { type: 'done', call: 'c', ok: false, code: 'x', message: 'm', retryable: 'yes' },
    { type: 'http', call: 'c', id: 1, request: null },
    { type: 'http', call: 'c', id: 1, request: { ...request, redirect: 'yes' } },
    { type: 'http', call: 'c', id: 1, request: { ...request, headers: { a: 'b' } } },
    { type: 'http', call: 'c', id: 1, request: { ...request, headers: [['a', 1]] } },
    { type: 'http', call: 'c', id: 1, request: { ...request, timeoutMs: -1 } },
  ] as JsonValue[])('refuses %j', (message) => {
    expect(readChildMessage(message)).toBeNull();
  });

  it('never throws, and passes on no field that it does not know', () => {
    const known = [
      'type',
      'call',
      'id',
      'request',
      'node',
      'level',
      'message',
      'ok',
      'code',
      'retryable',
    ];
    const types = fc.constantFrom<ChildMessage['type']>(
      'hello',
      'started',
      'http',
      'abort',
      'log',
      'done',
      'idle',
    );
    fc.assert(
      fc.property(types, fc.dictionary(fc.constantFrom(...known), fc.jsonValue()), (type, rest) => {
        const message = readChildMessage({
          ...(rest as Record<string, JsonValue>),
          type,
          extra: 1,
        });
        expect(Object.keys(message ?? {})).not.toContain('extra');
      }),
    );
  });
});
