import {
  brotliCompressSync,
  deflateRawSync,
  deflateSync,
  gzipSync,
  zstdCompressSync,
} from 'node:zlib';

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
  until,
} from './gateway.harness.js';

afterEach(closeAll);

describe('requests', () => {
  it('carries its own name, and drops what the transport owns', async () => {
    const listener = await listen();
    const gateway = gatewayWith({ allowText: '127.0.0.1' });
    const host = `127.0.0.1:${String(listener.port)}`;
    await send(
      gateway,
      request(`http://${host}/path?q=1`, {
        method: 'post',
        headers: [
          ['Host', host],
          ['Content-Length', '999'],
          ['Transfer-Encoding', 'chunked'],
          ['Connection', 'close, x-custom'],
          ['Accept-Encoding', 'identity'],
          ['X-Custom', ' kept '],
          ['X-Custom', 'twice'],
        ],
        body: Buffer.from('body'),
      }),
    );
    const [received] = listener.requests;
    expect(received?.headers).toMatchObject({
      host,
      'user-agent': 'Stepwell/9.9.9',
      accept: '*/*',
      'accept-encoding': 'gzip, deflate, br, zstd',
      'content-length': '4',
      'x-custom': 'kept, twice',
      connection: 'keep-alive',
    });
    expect([received?.method, received?.url, listener.bodies[0]]).toEqual([
      'POST',
      '/path?q=1',
      'body',
    ]);
    expect(received?.headers['transfer-encoding']).toBeUndefined();
  });

  it.each<[string, Partial<OutboundRequest>]>([
    ['a line break in a value', { headers: [['x', 'a\r\ny: b']] }],
    ['a NUL', { headers: [['x', 'a\0b']] }],
    ['a character beyond Latin-1', { headers: [['x', '✓']] }],
    ['a bad name', { headers: [['x y', 'b']] }],
    ['another host', { headers: [['host', 'internal']] }],
    ['a forwarded address', { headers: [['X-Forwarded-For', '10.0.0.1']] }],
    ['proxy credentials', { headers: [['Proxy-Authorization', 'x']] }],
    [
      'too many headers',
      { headers: Array.from({ length: 101 }, () => ['x', 'y'] as [string, string]) },
    ],
    ['too large headers', { headers: [['x', 'y'.repeat(20_000)]] }],
    ['a GET body', { body: Buffer.from('x') }],
    ['CONNECT', { method: 'CONNECT' }],
    ['trace', { method: 'trace' }],
    ['no method', { method: 'GET / HTTP/1.1\r\n' }],
    ['a long URL', { url: `https://a.example/${'x'.repeat(20_000)}` }],
    ['no URL', { url: '/relative' }],
  ])('refuses %s', async (_, changes) => {
    const listener = await listen();
    const gateway = gatewayWith({ allowText: '127.0.0.1' });
    const url = `http://127.0.0.1:${String(listener.port)}/`;
    const error = await refusal(send(gateway, request(url, changes)));
    expect([error.code, listener.bytes()]).toEqual(['egress.invalid_request', 0]);
  });
});

describe('responses', () => {
  const json = JSON.stringify({ hello: 'wörld' });

  it.each([
    ['gzip', gzipSync(json)],
    ['deflate', deflateSync(json)],
    ['deflate', deflateRawSync(json)],
    ['br', brotliCompressSync(json)],
    ['zstd', zstdCompressSync(json)],
    ['gzip, br', brotliCompressSync(gzipSync(json))],
  ])('decompresses %s', async (encoding, body) => {
    const listener = await listen((_, response) => {
      response
        .writeHead(200, { 'content-encoding': encoding, 'set-cookie': ['a=1', 'b=2'] })
        .end(body);
    });
    const answer = await send(
      gatewayWith({ allowText: '127.0.0.1' }),
      `http://127.0.0.1:${String(listener.port)}/`,
    );
    expect(text(answer)).toBe(json);
    const names = answer.headers.map(([name]) => name);
    expect(names.filter((name) => name === 'set-cookie')).toHaveLength(2);
    expect(names).not.toContain('content-encoding');
    expect(names).not.toContain('connection');
  });

  it('hands over an unknown encoding and any status as they are', async () => {
    const listener = await listen((_, response) => {
      response.writeHead(418, { 'content-encoding': 'rot13' }).end('uryyb');
    });
    const answer = await send(
      gatewayWith({ allowText: '127.0.0.1' }),
      `http://127.0.0.1:${String(listener.port)}/`,
    );
    expect([answer.status, answer.statusText, text(answer)]).toEqual([
      418,
      "I'm a Teapot",
      'uryyb',
    ]);
    expect(answer.headers).toContainEqual(['content-encoding', 'rot13']);
  });

  it('says so when a body is not what its encoding says', async () => {
    const listener = await listen((_, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' }).end('plain');
    });
    const error = await refusal(
      send(gatewayWith({ allowText: '127.0.0.1' }), `http://127.0.0.1:${String(listener.port)}/`),
    );
    expect([error.code, error.details?.reason]).toEqual(['egress.failed', 'content_encoding']);
  });

  it('reads the empty answers of HEAD, 204 and 304', async () => {
    const listener = await listen((incoming, response) => {
      const status = Number(incoming.url?.slice(1));
      const headers = {
        'content-encoding': 'gzip',
        ...(status === 200 ? { 'content-length': 10_000_000 } : {}),
      };
      response.writeHead(status, headers).end();
    });
    const gateway = gatewayWith({ allowText: '127.0.0.1' });
    for (const [method, path] of [
      ['HEAD', '200'],
      ['GET', '204'],
      ['GET', '304'],
    ] as const) {
      const answer = await send(
        gateway,
        request(`http://127.0.0.1:${String(listener.port)}/${path}`, { method }),
      );
      expect([answer.status, answer.body.byteLength]).toEqual([Number(path), 0]);
    }
  });

  it.each([
    ['gzip', gzipSync(Buffer.alloc(20_000_000))],
    ['br', brotliCompressSync(Buffer.alloc(20_000_000))],
    ['zstd', zstdCompressSync(Buffer.alloc(20_000_000))],
    ['gzip, gzip', gzipSync(gzipSync(Buffer.alloc(20_000_000)))],
  ])('R27: cuts a bomb of %s; uncounted, it would arrive', async (encoding, body) => {
    const listener = await listen((_, response) => {
      response.writeHead(200, { 'content-encoding': encoding }).end(body);
    });
    const url = `http://127.0.0.1:${String(listener.port)}/`;
    const error = await refusal(send(gatewayWith({ allowText: '127.0.0.1' }), url));
    expect(error.code).toBe('egress.response_too_large');
    expect(error.message).toContain('larger than 100000 bytes');
    const uncounted = gatewayWith({ allowText: '127.0.0.1', defences: { responseBytes: false } });
    expect((await send(uncounted, url)).body.byteLength).toBe(20_000_000);
  });

  it('R27: cuts an endless body, and one that announces too much', async () => {
    let closed = 0;
    const listener = await listen((incoming, response) => {
      if (incoming.url === '/announced') response.setHeader('content-length', 100_001);
      response.on('close', () => (closed += 1));
      const pour = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(10_000)));
      };
      response.on('drain', pour);
      pour();
    });
    const gateway = gatewayWith({ allowText: '127.0.0.1' });
    for (const path of ['/endless', '/announced']) {
      const error = await refusal(
        send(gateway, `http://127.0.0.1:${String(listener.port)}${path}`),
      );
      expect(error.code).toBe('egress.response_too_large');
    }
    await until(() => closed === 2);
  });

  it('R27: a byte now and then does not hold a call past its deadline', async () => {
    const listener = await listen((_, response) => {
      const timer = setInterval(() => response.write('x'), 20);
      response.on('close', () => {
        clearInterval(timer);
      });
    });
    const started = performance.now();
    const url = `http://127.0.0.1:${String(listener.port)}/`;
    const error = await refusal(
      send(gatewayWith({ allowText: '127.0.0.1' }), request(url, { timeoutMs: 200 })),
    );
    expect([error.code, error.details]).toEqual([
      'egress.timed_out',
      { reason: 'deadline', sent: true },
    ]);
    expect(performance.now() - started).toBeLessThan(2_000);
  });

  it('refuses more headers than anybody needs', async () => {
    const listener = await listen((incoming, response) => {
      if (incoming.url === '/many')
        for (let i = 0; i < 300; i++) response.setHeader(`x-${String(i)}`, 'y');
      else response.setHeader('x-large', 'y'.repeat(70_000));
      response.end();
    });
    const gateway = gatewayWith({ allowText: '127.0.0.1' });
    for (const path of ['/many', '/large']) {
      const error = await refusal(
        send(gateway, `http://127.0.0.1:${String(listener.port)}${path}`),
      );
      expect(error.code).toBe('egress.response_too_large');
    }
  });
});
