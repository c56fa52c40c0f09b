import type { RequestListener } from 'node:http';

import { afterEach, describe, expect, it } from '@jest/globals';

import type { OutboundRequest } from '../sandbox/sandbox.js';
import {
  closeAll,
  gatewayWith,
  listen,
  refusal,
  request,
  send,
  text,
  toLoopback,
} from './gateway.harness.js';

afterEach(closeAll);

describe('redirects', () => {
  const redirectTo =
    (location: string | (() => string), status = 302): RequestListener =>
    (_, response) => {
      response
        .writeHead(status, { location: typeof location === 'string' ? location : location() })
        .end('moved');
    };

  it('S09: each hop is checked anew; unchecked, it would arrive', async () => {
    const target = await listen();
    const origin = await listen(redirectTo(() => `http://secret.example:${String(target.port)}/`));
    const options = {
      allowText: 'a.example,secret.example',
      lookup: toLoopback,
    };
    const url = `http://a.example:${String(origin.port)}/`;
    const error = await refusal(send(gatewayWith(options), url, { hosts: ['a.example'] }));
    expect([error.code, error.details?.reason]).toEqual(['egress.denied', 'host_not_granted']);
    expect([origin.requests.length, target.bytes()]).toEqual([1, 0]);
    const unchecked = gatewayWith({ ...options, defences: { hosts: false } });
    const answer = await send(unchecked, url, { hosts: ['a.example'] });
    expect([text(answer), answer.redirected]).toEqual(['hello', true]);
  });

  it.each([
    'http://127.0.0.1/',
    'http://10.0.0.1/',
    'file:///etc/passwd',
    'ftp://a.example/',
    'https://u:p@a.example/',
  ])('S09: a hop to %s is refused', async (location) => {
    const origin = await listen(redirectTo(location));
    const gateway = gatewayWith({
      allowText: `a.example:${String(origin.port)}`,
      lookup: toLoopback,
    });
    const error = await refusal(send(gateway, `http://a.example:${String(origin.port)}/`));
    expect(error.code).toBe('egress.denied');
  });

  it('follows to a granted host and says where it ended', async () => {
    const listener = await listen((incoming, response) => {
      if (incoming.url === '/end') response.end('arrived');
      else response.writeHead(302, { location: '/end' }).end();
    });
    const gateway = gatewayWith({ allowText: '127.0.0.1' });
    const base = `http://127.0.0.1:${String(listener.port)}`;
    const answer = await send(gateway, `${base}/start#part`);
    expect([text(answer), answer.url, answer.redirected]).toEqual(['arrived', `${base}/end`, true]);
    const manual = await send(gateway, request(`${base}/start`, { redirect: 'manual' }));
    expect([manual.status, manual.redirected]).toEqual([302, false]);
    const refused = await refusal(send(gateway, request(`${base}/start`, { redirect: 'error' })));
    expect(refused.code).toBe('egress.denied');
  });

  it('S10: stops after three hops', async () => {
    const listener = await listen(redirectTo('/again'));
    const gateway = gatewayWith({ allowText: '127.0.0.1' });
    const error = await refusal(send(gateway, `http://127.0.0.1:${String(listener.port)}/`));
    expect([error.code, listener.requests.length]).toEqual(['egress.denied', 4]);
    expect(error.message).toContain('more than 3 redirects');
  });

  it('S10: sends no body to another origin', async () => {
    const target = await listen();
    const origin = await listen(redirectTo(() => `http://127.0.0.1:${String(target.port)}/`, 307));
    const gateway = gatewayWith({ allowText: '127.0.0.1' });
    const post = request(`http://127.0.0.1:${String(origin.port)}/`, {
      method: 'POST',
      body: Buffer.from('payload'),
    });
    const error = await refusal(send(gateway, post));
    expect([error.code, error.details, target.bytes()]).toEqual([
      'egress.denied',
      { reason: 'redirect', sent: true },
      0,
    ]);
  });

  it('sends a body again within its origin, and makes GET of what 303 answers', async () => {
    const listener = await listen((incoming, response) => {
      if (incoming.url === '/307') response.writeHead(307, { location: '/end' }).end();
      else if (incoming.url === '/303') response.writeHead(303, { location: '/end' }).end();
      else response.end(incoming.method);
    });
    const gateway = gatewayWith({ allowText: '127.0.0.1' });
    const post = (path: string): OutboundRequest =>
      request(`http://127.0.0.1:${String(listener.port)}${path}`, {
        method: 'POST',
        headers: [['content-type', 'text/plain']],
        body: Buffer.from('payload'),
      });
    expect(text(await send(gateway, post('/307')))).toBe('POST');
    expect(listener.bodies).toEqual(['payload', 'payload']);
    expect(text(await send(gateway, post('/303')))).toBe('GET');
    expect(listener.bodies.at(-1)).toBe('');
    expect(listener.requests.at(-1)?.headers['content-type']).toBeUndefined();
  });

  it('X03: only harmless headers follow to another origin; unchecked, the key would leak', async () => {
    const target = await listen();
    const origin = await listen(redirectTo(() => `http://127.0.0.1:${String(target.port)}/`));
    const keyed = request(`http://127.0.0.1:${String(origin.port)}/`, {
      headers: [
        ['Authorization', 'Bearer canary'],
        ['Cookie', 'c=canary'],
        ['X-Api-Key', 'canary'],
        ['X-Custom', 'canary'],
        ['Accept', 'application/json'],
      ],
    });
    await send(gatewayWith({ allowText: '127.0.0.1' }), keyed);
    expect(JSON.stringify(origin.requests[0]?.rawHeaders)).toContain('canary');
    expect(JSON.stringify(target.requests[0]?.rawHeaders)).not.toContain('canary');
    expect(target.requests[0]?.headers.accept).toBe('application/json');
    await send(
      gatewayWith({ allowText: '127.0.0.1', defences: { redirectHeaders: false } }),
      keyed,
    );
    expect(target.requests[1]?.headers['x-api-key']).toBe('canary');
  });
});
