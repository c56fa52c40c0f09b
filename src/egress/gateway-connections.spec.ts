import { getEventListeners } from 'node:events';
import type { Socket } from 'node:net';

import { afterEach, describe, expect, it } from '@jest/globals';

import type { EgressGrant } from './gateway.js';
import {
  closeAll,
  gatewayWith,
  listen,
  refusal,
  request,
  send,
  toLoopback,
  until,
} from './gateway.harness.js';

afterEach(closeAll);

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

  it('leaves nothing behind on the signal of the caller', async () => {
    const listener = await listen();
    const gateway = gatewayWith({ allowText: '127.0.0.1' });
    const { signal } = new AbortController();
    await send(gateway, `http://127.0.0.1:${String(listener.port)}/`, {}, signal);
    await refusal(send(gateway, 'http://127.0.0.1:1/', {}, signal));
    expect(getEventListeners(signal, 'abort')).toEqual([]);
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
