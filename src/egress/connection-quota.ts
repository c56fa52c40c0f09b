import type { Socket } from 'node:net';

import { HostCallError } from '../sandbox/sandbox.js';

/** Sockets that are open, of all or of one tenant. */
export interface ConnectionLimits {
  perTenant: number;
  total: number;
}

/** A socket that counts until it is closed. */
export interface OpenConnection {
  readonly origin: string;
  readonly socket: Socket;
}

/** The open sockets of all tenants. */
export class ConnectionQuota {
  #total = 0;

  /** @param dropAnyIdle closes an idle socket of some tenant; false when none is idle */
  constructor(
    private readonly limits: ConnectionLimits,
    private readonly dropAnyIdle: () => boolean,
  ) {}

  /** @param isIdle whether no request runs or waits at this connection's origin */
  ofTenant(isIdle: (connection: OpenConnection) => boolean): TenantConnections {
    return new TenantConnections(isIdle, {
      assertRoom: (tenant) => {
        this.#assertRoom(tenant);
      },
      count: (change) => {
        this.#total += change;
      },
    });
  }

  /** Kept sockets are only a saving: they make room before a request is refused. */
  #assertRoom(tenant: TenantConnections): void {
    const { perTenant, total } = this.limits;
    if (tenant.size >= perTenant && !tenant.dropIdle()) {
      throw tooMany(`this tenant has ${String(perTenant)} connections in use`);
    }
    if (this.#total >= total && !tenant.dropIdle() && !this.dropAnyIdle()) {
      throw tooMany(`the host has ${String(total)} connections in use`);
    }
  }
}

/** The open sockets of one tenant, oldest first. */
export class TenantConnections {
  readonly #open = new Set<OpenConnection>();

  constructor(
    private readonly isIdle: (connection: OpenConnection) => boolean,
    private readonly quota: {
      assertRoom(tenant: TenantConnections): void;
      count(change: 1 | -1): void;
    },
  ) {}

  get size(): number {
    return this.#open.size;
  }

  /**
   * Opens a socket and counts it until it is closed.
   * @throws HostCallError `egress.failed` when there are too many, before anything is opened
   */
  open(origin: string, connect: () => Socket): Socket {
    this.quota.assertRoom(this);
    const connection = { origin, socket: connect() };
    this.#open.add(connection);
    this.quota.count(1);
    connection.socket.once('close', () => {
      this.#release(connection);
    });
    return connection.socket;
  }

  /** Closes the oldest idle socket; false when none is idle. */
  dropIdle(): boolean {
    for (const connection of this.#open) {
      if (!this.isIdle(connection)) continue;
      this.#release(connection);
      connection.socket.destroy();
      return true;
    }
    return false;
  }

  /** Closes all of them, also those that are being opened. */
  cut(): void {
    for (const { socket } of this.#open) socket.destroy();
  }

  #release(connection: OpenConnection): void {
    if (this.#open.delete(connection)) this.quota.count(-1);
  }
}

function tooMany(detail: string): HostCallError {
  return new HostCallError('egress.failed', `no connection was opened: ${detail}`, {
    reason: 'too_many_connections',
    sent: false,
  });
}
