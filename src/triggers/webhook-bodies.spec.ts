import { afterEach, describe, expect, it } from '@jest/globals';
import { fastify, type FastifyInstance } from 'fastify';

import { AppError } from '../common/errors.js';
import { takeFormsAndText } from './webhook-bodies.js';

let host: FastifyInstance | null = null;

afterEach(async () => {
  await host?.close();
});

/** What a route is given, or the code of the refusal. */
async function send(type: string, payload: string): Promise<unknown> {
  host = fastify();
  takeFormsAndText(host);
  host.setErrorHandler((error) => ({ refused: error instanceof AppError ? error.code : error }));
  host.post('/', ({ body }) => ({ body }));
  const answer = await host.inject({
    ...{ method: 'POST', url: '/', payload },
    headers: { 'content-type': type },
  });
  return answer.json();
}

const FORM = 'application/x-www-form-urlencoded';

describe('the body of a webhook call', () => {
  it('is a form: texts by name, and lists where a name is repeated', async () => {
    expect(await send(FORM, 'a=1&b=%C3%BC+x&a=2&c')).toEqual({
      body: { a: ['1', '2'], b: 'ü x', c: '' },
    });
  });

  it('has no more fields than can be read in no time', async () => {
    const fields = (count: number) => Array.from({ length: count }, (_, at) => `f${String(at)}=x`);
    const most = (await send(FORM, fields(1_000).join('&'))) as { body: object };
    expect(Object.keys(most.body)).toHaveLength(1_000);
    expect(await send(FORM, fields(1_001).join('&'))).toEqual({ refused: 'request.too_large' });
    expect(await send(FORM, 'a&'.repeat(100_000))).toEqual({ refused: 'request.too_large' });
  });

  it('is text', async () => {
    expect(await send('text/plain', 'ü & x')).toEqual({ body: 'ü & x' });
    expect(await send('text/csv', 'a\0')).toEqual({ refused: 'request.invalid' });
  });

  it('is nothing else', async () => {
    expect(await send('multipart/form-data; boundary=x', '--x--')).toEqual({
      refused: 'request.unsupported',
    });
  });
});
