import { connect as connectTcp, isIP } from 'node:net';
import type { LookupFunction, Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

import type { buildConnector } from 'undici';

import { HostCallError } from '../sandbox/sandbox.js';
import type { AllowRule } from './allow-list.js';
import type { TenantConnections } from './connection-quota.js';
import type { Defences } from './defences.js';
import { findAddressRefusal } from './destination.js';
import type { Route } from './destination.js';
import { errorCode } from './error-code.js';
import { unbracketHost } from './hosts.js';
import { NameNotResolved } from './name-resolver.js';

export interface ResolvedAddress {
  address: string;
  family: number;
}

/** Resolves a name to all of its addresses. */
export type Lookup = (hostname: string) => Promise<ResolvedAddress[]>;

export interface ConnectorOptions {
  rules: readonly AllowRule[];
  route: Route;
  lookup: Lookup;
  connections: TenantConnections;
  connectTimeoutMs: number;
  /** Certificate authorities in PEM, instead of Node's own. */
  ca: readonly string[] | null;
  defences: Defences;
}

/** A socket was closed before it was ready, because its tenant's connections were. */
class ConnectionCut extends Error {
  readonly code = 'ECONNRESET';
}

/** A connection wasn't ready in time. Only its code is shown to anybody. */
export class ConnectTimeout extends Error {
  readonly code = 'STEPWELL_CONNECT_TIMEOUT';
}

/**
 * Opens the sockets of one tenant and judges where they lead, three times: the literal in the URL
 * (no resolver is asked for those), every address of the resolver's one answer (the socket uses
 * these and no other, so a second, different answer can't slip in), and the address that was
 * reached, before a byte of the request or of the TLS handshake is sent.
 */
export function guardedConnector(options: ConnectorOptions): buildConnector.connector {
  const { rules, route, defences } = options;
  return (target, callback) => {
    const isTls = target.protocol === 'https:';
    const host = unbracketHost(target.hostname);
    const port = target.port === '' ? (isTls ? 443 : 80) : Number(target.port);
    const judge = (address: string) => findAddressRefusal({ host, port, address, rules, route });

    const refusal = defences.literals && isIP(host) !== 0 ? judge(host) : null;
    if (refusal !== null) {
      callback(refusal, null);
      return;
    }

    let tcp: Socket;
    try {
      tcp = options.connections.open(`${target.protocol}//${target.host ?? target.hostname}`, () =>
        connectTcp({ host, port, noDelay: true, lookup: guardedLookup(options, judge) }),
      );
    } catch (error) {
      callback(error instanceof Error ? error : new Error(String(error)), null);
      return;
    }

    let isSettled = false;
    const fail = (error: Error): void => {
      clearTimeout(timer);
      if (isSettled) return;
      isSettled = true;
      tcp.destroy();
      callback(error, null);
    };
    const succeed = (socket: Socket): void => {
      clearTimeout(timer);
      if (isSettled) return;
      isSettled = true;
      callback(null, socket);
    };
    const timer = setTimeout(() => {
      fail(new ConnectTimeout());
    }, options.connectTimeoutMs);

    tcp.on('error', fail);
    // Cut while it was being opened: no error says so.
    tcp.once('close', () => {
      fail(new ConnectionCut());
    });
    tcp.once('connect', () => {
      const reached = defences.remoteAddress ? judge(tcp.remoteAddress ?? '') : null;
      if (reached !== null) {
        fail(reached);
        return;
      }
      if (!isTls) {
        succeed(tcp);
        return;
      }
      const tls = connectTls({
        socket: tcp,
        host,
        ...(isIP(host) === 0 ? { servername: host } : {}),
        ...(options.ca === null ? {} : { ca: [...options.ca] }),
        ALPNProtocols: ['http/1.1'],
        minVersion: 'TLSv1.2',
        // Said aloud, because NODE_TLS_REJECT_UNAUTHORIZED would otherwise decide.
        rejectUnauthorized: true,
      });
      tls.on('error', fail);
      tls.once('secureConnect', () => {
        succeed(tls);
      });
    });
  };
}

function guardedLookup(
  options: ConnectorOptions,
  judge: (address: string) => Error | null,
): LookupFunction {
  const { lookup, defences } = options;
  return (hostname, lookupOptions, callback) => {
    lookup(hostname).then(
      (addresses) => {
        const [first] = addresses;
        const refused = defences.lookup ? addresses.map((each) => judge(each.address)) : [];
        const refusal = refused.find((each) => each !== null);
        if (refusal !== undefined) callback(refusal, '', 0);
        else if (first === undefined) callback(new NameNotResolved('ENOTFOUND'), '', 0);
        else if (lookupOptions.all === true) callback(null, addresses);
        else callback(null, first.address, first.family);
      },
      (error: unknown) => {
        callback(lookupFailure(error), '', 0);
      },
    );
  };
}

/** Whatever the resolver says, it isn't about the host itself: its "refused" is not the host's. */
function lookupFailure(error: unknown): HostCallError | NameNotResolved {
  if (error instanceof HostCallError || error instanceof NameNotResolved) return error;
  const code = errorCode(error);
  return new NameNotResolved(code === '' || code === 'ENOTFOUND' ? 'ENOTFOUND' : 'EAI_AGAIN');
}
