import type { RequestListener } from 'node:http';
import type { Socket } from 'node:net';
import {
  brotliCompressSync,
  deflateRawSync,
  deflateSync,
  gzipSync,
  zstdCompressSync,
} from 'node:zlib';

import { afterEach, describe, expect, it } from '@jest/globals';

import type { OutboundRequest } from '../sandbox/sandbox.js';
import type { EgressGrant } from './gateway.js';
import {
  closeAll,
  gatewayWith,
  listen,
  refusal,
  request,
  send,
  text,
  toLoopback,
  until,
} from './gateway.harness.js';

const PUBLIC_ADDRESS = '93.184.216.34';

afterEach(closeAll);

describe('addresses', () => {
  it.each([
    'http://127.0.0.1:PORT/',
    'http://localhost:PORT/',
    'http://0:PORT/',
    'http://0.0.0.0:PORT/',
    'http://127.1:PORT/',
    'http://2130706433:PORT/',
    'http://0x7f.1:PORT/',
    'http://0177.0.0.1:PORT/',
    'http://１２７．０．０．１:PORT/',
    'http://127。0。0。1:PORT/',
    'http://127.0.0.1.:PORT/',
    'https://127.0.0.1:PORT/',
    'http://[::1]:PORT/',
    'http://[::]:PORT/',
    'http://[::ffff:127.0.0.1]:PORT/',
    'http://[::ffff:7f00:1]:PORT/',
    'http://[64:ff9b::7f00:1]:PORT/',
    'http://[fd00::1]:PORT/',
  ])('S01, S02: %s reaches nobody', async (pattern) => {
    const listener = await listen();
    const url = pattern.replace('PORT', String(listener.port));
    const error = await refusal(send(gatewayWith(), url));
    expect(error.code).toBe('egress.denied');
    expect([listener.connections, listener.bytes()]).toEqual([0, 0]);
  });

  it('S02: a zone makes no URL', async () => {
    const error = await refusal(send(gatewayWith(), 'http://[fe80::1%25eth0]/'));
    expect(error.code).toBe('egress.invalid_request');
  });

  it.each([
    'http://169.254.169.254/latest/meta-data/',
    'http://[fd00:ec2::254]/',
    'http://100.100.100.200/',
    'http://168.63.129.16/',
    'http://metadata.google.internal/',
    'http://metadata.google.internal./',
  ])('S04: %s is refused as metadata', async (url) => {
    const error = await refusal(send(gatewayWith(), url));
    expect([error.code, error.details?.reason]).toEqual(['egress.denied', 'blocked_address']);
    expect(error.message).toContain('metadata');
  });

  it('S04: the name of an allowed host does not open a metadata address', async () => {
    const gateway = gatewayWith({
      allowText: 'inner.example,0.0.0.0/0',
      lookup: async () => Promise.resolve([{ address: '169.254.169.254', family: 4 }]),
    });
    const error = await refusal(send(gateway, 'http://inner.example/'));
    expect([error.code, error.details?.reason]).toEqual(['egress.denied', 'blocked_address']);
    expect(error.message).not.toContain('169.254');
  });

  it('S05: a literal is refused without asking any resolver; unchecked, it would arrive', async () => {
    const listener = await listen();
    const url = `http://127.0.0.1:${String(listener.port)}/`;
    const error = await refusal(send(gatewayWith(), url));
    expect(error.message).toBe(
      `127.0.0.1 is a private address; an operator can allow it with STEPWELL_EGRESS_ALLOW=127.0.0.1:${String(listener.port)}`,
    );
    expect(listener.bytes()).toBe(0);
    const unchecked = gatewayWith({ defences: { literals: false, remoteAddress: false } });
    expect(text(await send(unchecked, url))).toBe('hello');
  });

  it('S06: a name that leads inside is refused; unchecked, it would arrive', async () => {
    const listener = await listen();
    const url = `http://innocent.example:${String(listener.port)}/`;
    const options = { lookup: toLoopback, defences: { ports: false } };
    const error = await refusal(send(gatewayWith(options), url));
    expect([error.code, error.details?.reason]).toEqual(['egress.denied', 'blocked_address']);
    expect(error.message).not.toContain('127.0.0.1');
    expect([listener.connections, listener.bytes()]).toEqual([0, 0]);
    const unchecked = gatewayWith({
      lookup: toLoopback,
      defences: { ports: false, lookup: false, remoteAddress: false },
    });
    expect(text(await send(unchecked, url))).toBe('hello');
  });

  it('S06: one bad address spoils the whole answer', async () => {
    const lookup = async () =>
      Promise.resolve([
        { address: PUBLIC_ADDRESS, family: 4 },
        { address: '10.0.0.1', family: 4 },
      ]);
    const error = await refusal(send(gatewayWith({ lookup }), 'https://mixed.example/'));
    expect([error.code, error.details?.reason]).toEqual(['egress.denied', 'blocked_address']);
  });

  it('S07: the judged answer is the one that is used: one look-up per connection', async () => {
    const listener = await listen((_, response) => {
      response.writeHead(200, { connection: 'close' }).end('hello');
    });
    // Good for the first look-up, bad for each one after it: a second one would be caught.
    const answers = ['127.0.0.1'];
    let lookups = 0;
    const gateway = gatewayWith({
      allowText: '127.0.0.1',
      lookup: async () => {
        lookups += 1;
        return Promise.resolve([{ address: answers.shift() ?? '127.0.0.2', family: 4 }]);
      },
    });
    const url = `http://rebind.example:${String(listener.port)}/`;
    expect([text(await send(gateway, url)), lookups]).toEqual(['hello', 1]);
    const error = await refusal(send(gateway, url));
    expect([error.code, error.details?.reason, lookups]).toEqual([
      'egress.denied',
      'blocked_address',
      2,
    ]);
    expect(listener.connections).toBe(1);
  });

  it('S07: where the resolver was believed, the reached address stops it before a byte is sent', async () => {
    const listener = await listen();
    const url = `http://rebind.example:${String(listener.port)}/`;
    const gateway = gatewayWith({ lookup: toLoopback, defences: { ports: false, lookup: false } });
    const error = await refusal(send(gateway, url));
    expect(error.code).toBe('egress.denied');
    expect([listener.requests.length, listener.bytes()]).toEqual([0, 0]);
  });
});

describe('the list of an operator', () => {
  it('opens a private address, a bare IP, plain http and an odd port at once', async () => {
    const listener = await listen();
    const port = String(listener.port);
    for (const [allowText, host] of [
      [`127.0.0.1:${port}`, '127.0.0.1'],
      ['127.0.0.0/8', '127.0.0.1'],
      ['127.0.0.1@acme', '127.0.0.1'],
      [`inner.example:${port}`, 'inner.example'],
      ['*.example@tenant-1', 'inner.example'],
      [`127.0.0.0/8`, 'inner.example'],
    ] as const) {
      const gateway = gatewayWith({ allowText, lookup: toLoopback });
      for (const hosts of [['*'], [host]]) {
        expect(text(await send(gateway, `http://${host}:${port}/`, { hosts }))).toBe('hello');
      }
    }
  });

  it('opens nothing else', async () => {
    const listener = await listen();
    const port = String(listener.port);
    for (const [allowText, host] of [
      ['127.0.0.1:1', '127.0.0.1'],
      ['127.0.0.2', '127.0.0.1'],
      ['127.0.0.1@other', '127.0.0.1'],
      ['inner.example:1', 'inner.example'],
      ['127.0.0.0/8:1', 'inner.example'],
      ['10.0.0.0/8', 'inner.example'],
    ] as const) {
      const gateway = gatewayWith({ allowText, lookup: toLoopback });
      const error = await refusal(send(gateway, `http://${host}:${port}/`));
      expect(error.code).toBe('egress.denied');
    }
    expect([listener.connections, listener.bytes()]).toEqual([0, 0]);
  });

  it('grants no host to a plugin', async () => {
    const listener = await listen();
    const gateway = gatewayWith({ allowText: '127.0.0.1' });
    const url = `http://127.0.0.1:${String(listener.port)}/`;
    const error = await refusal(send(gateway, url, { hosts: ['api.example'] }));
    expect(error.message).toBe(
      'host "127.0.0.1" is not granted to this plugin; it may reach: api.example',
    );
    expect(listener.bytes()).toBe(0);
  });

  it('does not let a public address in by a range for odd ports', async () => {
    const gateway = gatewayWith({
      allowText: '10.0.0.0/8',
      lookup: async () => Promise.resolve([{ address: PUBLIC_ADDRESS, family: 4 }]),
    });
    const error = await refusal(send(gateway, 'http://public.example:8080/'));
    expect([error.code, error.details?.reason]).toEqual(['egress.denied', 'port']);
  });
});

describe('ports, schemes and hosts', () => {
  it.each([
    ['http://api.example:22/', 'port'],
    ['https://api.example:25/', 'port'],
    ['http://api.example:6379/', 'port'],
    ['https://api.example:80/', 'port'],
    ['ftp://api.example/', 'scheme'],
    ['data:text/plain,x', 'scheme'],
    ['blob:https://api.example/1', 'scheme'],
    ['unix:/var/run/docker.sock', 'scheme'],
    ['file:///etc/passwd', 'scheme'],
    ['https://user@api.example/', 'userinfo'],
    ['https://:secret@api.example/', 'userinfo'],
  ])('S13: %s is refused', async (url, reason) => {
    const error = await refusal(send(gatewayWith(), url));
    expect([error.code, error.details?.reason]).toEqual(['egress.denied', reason]);
  });

  it('S13: plain http to a public host is for "*" and typed hosts', async () => {
    const lookup = async () => Promise.resolve([]);
    const gateway = gatewayWith({ lookup });
    const named = await refusal(send(gateway, 'http://api.example/', { hosts: ['api.example'] }));
    expect([named.code, named.details?.reason]).toEqual(['egress.denied', 'port']);
    for (const hosts of [['*'], ['http://api.example']]) {
      const error = await refusal(send(gateway, 'http://api.example/', { hosts }));
      expect([error.code, error.details?.reason]).toEqual(['egress.failed', 'host_not_found']);
    }
  });

  it('S13: takes no socket path or other option from a request', async () => {
    const hostile = {
      ...request('https://api.example/'),
      socketPath: '/var/run/docker.sock',
      lookup: toLoopback,
    };
    const gateway = gatewayWith({ lookup: async () => Promise.resolve([]) });
    expect((await refusal(send(gateway, hostile))).details?.reason).toBe('host_not_found');
  });

  it.each([
    'https://api.example.evil.test/',
    'https://api.example@evil.test/',
    'https://evilapi.example/',
  ])('S11: %s is not api.example', async (url) => {
    const error = await refusal(send(gatewayWith(), url, { hosts: ['api.example'] }));
    expect(error.code).toBe('egress.denied');
  });

  it('S15: proxy variables are ignored', async () => {
    const proxy = await listen();
    const listener = await listen();
    const names = ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'ALL_PROXY', 'NODE_USE_ENV_PROXY'];
    const before = names.map((name) => process.env[name]);
    try {
      for (const name of names) process.env[name] = `http://127.0.0.1:${String(proxy.port)}`;
      const gateway = gatewayWith({ allowText: '127.0.0.1' });
      expect(text(await send(gateway, `http://127.0.0.1:${String(listener.port)}/`))).toBe('hello');
    } finally {
      names.forEach((name, i) => {
        const value = before[i];
        if (value === undefined) Reflect.deleteProperty(process.env, name);
        else process.env[name] = value;
      });
    }
    expect(proxy.connections).toBe(0);
  });
});

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

describe('ends', () => {
  it('tells a timeout from a cancellation, and takes the smaller deadline', async () => {
    const listener = await listen(() => undefined);
    const gateway = gatewayWith({ allowText: '127.0.0.1' });
    const url = `http://127.0.0.1:${String(listener.port)}/`;
    expect((await refusal(send(gateway, url, { timeoutMs: 100 }))).code).toBe('egress.timed_out');

    const cancelling = new AbortController();
    const cancelled = refusal(send(gateway, url, {}, cancelling.signal));
    await until(() => listener.requests.length === 2);
    cancelling.abort();
    expect((await cancelled).details?.reason).toBe('cancelled');

    const expired = await refusal(send(gateway, url, {}, AbortSignal.timeout(1)));
    expect(expired.code).toBe('egress.timed_out');

    const closing = refusal(send(gateway, url));
    await until(() => listener.requests.length === 3);
    await gateway.close();
    expect((await closing).code).toBe('egress.failed');
    expect((await refusal(send(gateway, url))).code).toBe('egress.failed');
  });

  it('says whether the far end can have seen the request', async () => {
    const listener = await listen((incoming) => incoming.socket.destroy());
    const gateway = gatewayWith({ allowText: '127.0.0.1' });
    const reset = await refusal(send(gateway, `http://127.0.0.1:${String(listener.port)}/`));
    expect([reset.code, reset.details]).toEqual([
      'egress.failed',
      { reason: 'connection_closed', sent: true },
    ]);
    const refused = await refusal(send(gateway, 'http://127.0.0.1:1/'));
    expect(refused.details).toEqual({ reason: 'connection_refused', sent: false });
  });

  it.each(['ENOTFOUND', 'EAI_AGAIN', 'ETIMEOUT', 'ESERVFAIL', 'ECONNREFUSED', ''])(
    'says that nothing was sent when a look-up ends with "%s"',
    async (code) => {
      const gateway = gatewayWith({
        lookup: () => Promise.reject(Object.assign(new Error('10.0.0.53'), { code })),
      });
      const failed = await refusal(send(gateway, 'https://a.example/'));
      expect([failed.code, failed.details]).toEqual([
        'egress.failed',
        { reason: 'host_not_found', sent: false },
      ]);
      expect(failed.message).not.toContain('10.0.0.53');
    },
  );

  it('says that nothing was sent when time runs out before a connection is there', async () => {
    const gateway = gatewayWith({ lookup: () => new Promise(() => undefined) });
    const late = await refusal(send(gateway, request('https://a.example/', { timeoutMs: 20 })));
    expect(late.details).toEqual({ reason: 'deadline', sent: false });
    const slow = gatewayWith({ lookup: () => new Promise(() => undefined), connectTimeoutMs: 20 });
    expect((await refusal(send(slow, 'https://a.example/'))).details).toEqual({
      reason: 'connect_timeout',
      sent: false,
    });
    const cancelled = await refusal(send(gateway, 'https://a.example/', {}, AbortSignal.abort()));
    expect(cancelled.details).toEqual({ reason: 'cancelled', sent: false });
  });

  it('says that something was sent when a later hop is not reached', async () => {
    const listener = await listen((_, response) => {
      response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end();
    });
    const gateway = gatewayWith({ allowText: '127.0.0.1' });
    const refused = await refusal(send(gateway, `http://127.0.0.1:${String(listener.port)}/`));
    expect(refused.details).toEqual({ reason: 'connection_refused', sent: true });
  });

  it('bounds the look-ups of one tenant, and those of no other', async () => {
    const asked: string[] = [];
    const gateway = gatewayWith({
      lookupsPerTenant: 2,
      lookup: (name) => {
        asked.push(name);
        return name === 'quick.example' ? toLoopback() : new Promise(() => undefined);
      },
    });
    const ending = new AbortController();
    const waiting = ['a', 'b', 'a', 'b'].map((name) =>
      refusal(send(gateway, `https://${name}.example/`, {}, ending.signal)),
    );
    await until(() => asked.length === 2);
    const third = await refusal(send(gateway, 'https://c.example/'));
    expect([third.code, third.details]).toEqual([
      'egress.failed',
      { reason: 'too_many_lookups', sent: false },
    ]);
    const other = { tenant: { id: 'other', name: 'other' } };
    const served = await refusal(send(gateway, 'https://quick.example/', other));
    expect(served.details?.reason).toBe('blocked_address');
    expect(asked).toEqual(['a.example', 'b.example', 'quick.example']);
    ending.abort();
    await Promise.all(waiting);
  });

  it('keeps connections of a tenant, and never shares them', async () => {
    const listener = await listen();
    const gateway = gatewayWith({ allowText: '127.0.0.1', maxTenants: 2 });
    const url = `http://127.0.0.1:${String(listener.port)}/`;
    const tenant = (id: string): Partial<EgressGrant> => ({ tenant: { id, name: id } });
    for (let i = 0; i < 10; i++) await send(gateway, url, tenant('a'));
    // The agent may open a second one when a request follows before it has noticed an answer's end.
    const connectionsOfA = listener.connections;
    expect(connectionsOfA).toBeLessThanOrEqual(2);
    await send(gateway, url, tenant('b'));
    expect(listener.connections).toBe(connectionsOfA + 1);
    await send(gateway, url, tenant('c'));
    await send(gateway, url, tenant('a'));
    expect(listener.connections).toBe(connectionsOfA + 3);
  });
});

describe('connections', () => {
  /** Each name is an origin of its own, all of them the same server. */
  const names = (port: number): ((at: number) => string) => {
    return (at) => `http://h${String(at)}.example:${String(port)}/`;
  };
  const toServer = { allowText: '*.example', lookup: toLoopback };

  it('one tenant keeps no more than its share open: idle ones make room', async () => {
    let open = 0;
    let most = 0;
    const listener = await listen((incoming, response) => {
      most = Math.max(most, open);
      response.end(incoming.url);
    });
    listener.server.on('connection', (socket: Socket) => {
      open += 1;
      socket.on('close', () => (open -= 1));
    });
    const gateway = gatewayWith({ ...toServer, connectionsPerTenant: 4 });
    const url = names(listener.port);
    for (let i = 0; i < 30; i++) expect((await send(gateway, url(i))).status).toBe(200);
    // The server hears of a closed socket a little later.
    expect(most).toBeLessThanOrEqual(8);
    await until(() => open <= 4);
    expect((await send(gateway, url(0))).status).toBe(200);
  });

  it('refuses what would be more than a tenant, or all, may have in use', async () => {
    const held: (() => void)[] = [];
    const listener = await listen((_, response) => {
      held.push(() => response.end());
    });
    const gateway = gatewayWith({ ...toServer, connectionsPerTenant: 2, maxConnections: 3 });
    const url = names(listener.port);
    const of = (id: string): Partial<EgressGrant> => ({ tenant: { id, name: id } });
    const sent = [send(gateway, url(1), of('a')), send(gateway, url(2), of('a'))];
    await until(() => held.length === 2);
    const third = await refusal(send(gateway, url(3), of('a')));
    expect([third.code, third.details]).toEqual([
      'egress.failed',
      { reason: 'too_many_connections', sent: false },
    ]);
    expect(third.message).toMatch(/this tenant has 2 connections/);

    sent.push(send(gateway, url(1), of('b')));
    await until(() => held.length === 3);
    expect((await refusal(send(gateway, url(1), of('c')))).message).toMatch(/the host has 3/);
    expect(listener.connections).toBe(3);

    // What another tenant keeps but doesn't use makes room.
    for (const end of held.splice(0)) end();
    expect((await Promise.all(sent)).map(({ status }) => status)).toEqual([200, 200, 200]);
    const late = send(gateway, url(1), of('c'));
    await until(() => held.length === 1);
    held[0]?.();
    expect((await late).status).toBe(200);
  });
});
