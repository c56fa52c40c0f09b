import { createServer } from 'node:http';
import type { IncomingMessage, RequestListener, Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

import { HostCallError } from '../sandbox/sandbox.js';
import type { OutboundRequest, OutboundResponse } from '../sandbox/sandbox.js';
import { parseEgressAllow } from './allow-list.js';
import { EgressGateway } from './gateway.js';
import type { EgressGrant, EgressOptions } from './gateway.js';

const cleanups: (() => Promise<void>)[] = [];

/** Ends what the last test opened; for afterEach. */
export async function closeAll(): Promise<void> {
  await Promise.all(cleanups.splice(0).map((cleanup) => cleanup()));
}

/** A real server that knows how many bytes anybody has sent to it. */
export interface Listener {
  server: Server;
  port: number;
  requests: IncomingMessage[];
  bodies: string[];
  connections: number;
  bytes(): number;
}

export async function listen(
  answer: RequestListener = (_, response) => response.end('hello'),
): Promise<Listener> {
  const sockets: Socket[] = [];
  const server: Server = createServer((request, response) => {
    listener.requests.push(request);
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      listener.bodies.push(body);
      answer(request, response);
    });
  });
  const listener: Listener = {
    server,
    port: 0,
    requests: [],
    bodies: [],
    connections: 0,
    bytes: () => sockets.reduce((sum, socket) => sum + socket.bytesRead, 0),
  };
  server.on('connection', (socket: Socket) => {
    listener.connections += 1;
    sockets.push(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  listener.port = (server.address() as AddressInfo).port;
  cleanups.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return listener;
}

export function gatewayWith(
  options: Partial<EgressOptions> & { allowText?: string } = {},
): EgressGateway {
  const { allowText = '', ...rest } = options;
  const gateway = new EgressGateway({
    version: '9.9.9',
    allow: parseEgressAllow(allowText),
    ...rest,
  });
  cleanups.push(() => gateway.close());
  return gateway;
}

export function grant(changes: Partial<EgressGrant> = {}): EgressGrant {
  return {
    tenant: { id: 'tenant-1', name: 'acme' },
    hosts: ['*'],
    caps: [],
    credential: null,
    responseBytes: 100_000,
    timeoutMs: 5_000,
    ...changes,
  };
}

export function request(url: string, changes: Partial<OutboundRequest> = {}): OutboundRequest {
  return { method: 'GET', url, headers: [], body: null, redirect: 'follow', ...changes };
}

export async function send(
  gateway: EgressGateway,
  what: OutboundRequest | string,
  changes: Partial<EgressGrant> = {},
  signal: AbortSignal = new AbortController().signal,
): Promise<OutboundResponse> {
  return gateway.send(grant(changes), typeof what === 'string' ? request(what) : what, signal);
}

export async function refusal(sending: Promise<OutboundResponse>): Promise<HostCallError> {
  const error: unknown = await sending.then(
    () => new Error('it was sent'),
    (reason: unknown) => reason,
  );
  if (error instanceof HostCallError) return error;
  throw new Error('it was not refused as egress refuses', { cause: error });
}

export function text(response: OutboundResponse): string {
  return Buffer.from(response.body).toString();
}

export const toLoopback = async (): Promise<{ address: string; family: number }[]> =>
  Promise.resolve([{ address: '127.0.0.1', family: 4 }]);

export async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 3_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('the condition did not come true');
    await new Promise((resolve) => setImmediate(resolve));
  }
}
