import type { EventEmitter } from 'node:events';

interface OpenClient {
  connection: { stream: { destroy(): void } };
}

/** The connections of a pool, to be ended all at once. */
export class OpenClients {
  private readonly open = new Set<OpenClient>();

  constructor(pool: EventEmitter) {
    // Also those that were connected before anybody listened.
    pool.on('acquire', (client: OpenClient) => this.open.add(client));
    pool.on('remove', (client: OpenClient) => this.open.delete(client));
  }

  /**
   * Their callers hear that the connection is lost. A server that comes back undoes what had not been
   * committed: it finds nobody there.
   */
  cutOff(): void {
    for (const client of this.open) client.connection.stream.destroy();
    this.open.clear();
  }
}
