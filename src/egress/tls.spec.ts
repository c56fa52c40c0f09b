import { createServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';

import { afterEach, describe, expect, it } from '@jest/globals';

import type { HostCallError, OutboundResponse } from '../sandbox/sandbox.js';
import { parseEgressAllow } from './allow-list.js';
import { EgressGateway } from './gateway.js';
import type { EgressOptions } from './gateway.js';

/** Self-signed, for `api.example` alone; the key opens nothing but this test. */
const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBmzCCAUGgAwIBAgIUVh8T3gkRV+e8wGE4o0grAkv6VIUwCgYIKoZIzj0EAwIw
FjEUMBIGA1UEAwwLYXBpLmV4YW1wbGUwIBcNMjYxMTIwMDYzNDE4WhgPMjEyNjEw
MjcwNjM0MThaMBYxFDASBgNVBAMMC2FwaS5leGFtcGxlMFkwEwYHKoZIzj0CAQYI
KoZIzj0DAQcDQgAEvT5HaYcDw7xj1rEEuwFci9f73XTgOMz6p9/pG8v7lY3g+PNz
WAV7vdhi0ZHvc8bUqma/fu6QcELx8vK4sM9c1aNrMGkwHQYDVR0OBBYEFAOq73/L
KG57BdA/QSWB9QoHy5gwMB8GA1UdIwQYMBaAFAOq73/LKG57BdA/QSWB9QoHy5gw
MA8GA1UdEwEB/wQFMAMBAf8wFgYDVR0RBA8wDYILYXBpLmV4YW1wbGUwCgYIKoZI
zj0EAwIDSAAwRQIgYi8ugXkvy2F8xVDbCevFX8uSPqmrYAtcpplOktg39zECIQCF
U7ZZ8gdJ4hp5gQ2BedWECYcURnwsaEC/P8gA+0v9GA==
-----END CERTIFICATE-----`;
const PRIVATE_KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgukhlZncJ1mJbVekl
we5Jq9mZEfUgfvzc0hsdtzb5d5KhRANCAAS9PkdphwPDvGPWsQS7AVyL1/vddOA4
zPqn3+kby/uVjeD483NYBXu92GLRke9zxtSqZr9+7pBwQvHy8riwz1zV
-----END PRIVATE KEY-----`;

const cleanups: (() => Promise<void>)[] = [];

afterEach(async () => {
  await Promise.all(cleanups.splice(0).map((cleanup) => cleanup()));
});

async function listen(): Promise<{ port: number; bytes: () => number }> {
  const sockets: Socket[] = [];
  const server = createServer({ cert: CERTIFICATE, key: PRIVATE_KEY }, (_, response) => {
    response.end('over TLS');
  });
  server.on('connection', (socket: Socket) => sockets.push(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return {
    port: (server.address() as AddressInfo).port,
    bytes: () => sockets.reduce((sum, socket) => sum + socket.bytesRead, 0),
  };
}

async function get(url: string, options: Partial<EgressOptions>): Promise<OutboundResponse> {
  const gateway = new EgressGateway({
    version: '1.0.0',
    allow: parseEgressAllow('api.example,other.example'),
    lookup: async () => Promise.resolve([{ address: '127.0.0.1', family: 4 }]),
    ...options,
  });
  cleanups.push(() => gateway.close());
  return gateway.send(
    {
      tenant: { id: '1', name: 'acme' },
      hosts: ['*'],
      caps: [],
      credential: null,
      responseBytes: 1_000,
      timeoutMs: 5_000,
    },
    { method: 'GET', url, headers: [], body: null, redirect: 'follow' },
    new AbortController().signal,
  );
}

async function refusal(sending: Promise<OutboundResponse>): Promise<HostCallError> {
  return sending.then(
    () => Promise.reject(new Error('it was sent')),
    (error: unknown) => error as HostCallError,
  );
}

describe('TLS', () => {
  it('reaches a host whose certificate is right', async () => {
    const { port } = await listen();
    const answer = await get(`https://api.example:${String(port)}/`, { ca: [CERTIFICATE] });
    expect(Buffer.from(answer.body).toString()).toBe('over TLS');
  });

  it('refuses a certificate for another name', async () => {
    const { port } = await listen();
    const sending = get(`https://other.example:${String(port)}/`, { ca: [CERTIFICATE] });
    expect((await refusal(sending)).details).toEqual({ reason: 'tls', sent: false });
  });

  it('refuses an unknown certificate, whatever the environment says', async () => {
    const { port } = await listen();
    const before = process.env.NODE_TLS_REJECT_UNAUTHORIZED;
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
    try {
      const error = await refusal(get(`https://api.example:${String(port)}/`, {}));
      expect([error.code, error.details?.reason]).toEqual(['egress.failed', 'tls']);
    } finally {
      if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
      else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before;
    }
  });

  it('S07: begins no handshake with an address that it may not reach', async () => {
    const listener = await listen();
    const sending = get(`https://stranger.example:${String(listener.port)}/`, {
      defences: { lookup: false, ports: false },
    });
    expect((await refusal(sending)).code).toBe('egress.denied');
    expect(listener.bytes()).toBe(0);
  });
});
