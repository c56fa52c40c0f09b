import { afterEach, describe, expect, it } from '@jest/globals';

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
