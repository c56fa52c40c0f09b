import pg from 'pg';

/** How PostgreSQL is asked whether it is there. */
export interface WatchConnection {
  /** Returns when it has answered and can do its work. @throws why it didn't, or can't */
  ask(): Promise<void>;
  /** The socket at once: a frozen server takes no goodbye. */
  cutOff(): void;
  end(): Promise<void>;
}

/** Where another server has taken over, the old one may go on answering: it can only be read. */
const QUESTION = `select current_setting('transaction_read_only') = 'on' as is_read_only`;

/** A connection of its own, opened by the first question. */
export class PgWatchConnection implements WatchConnection {
  private readonly client: pg.Client;
  private connecting: Promise<unknown> | null = null;

  constructor(appUrl: string) {
    this.client = new pg.Client({ connectionString: appUrl, keepAlive: true });
    // The next question is told.
    this.client.on('error', () => undefined);
  }

  async ask(): Promise<void> {
    this.connecting ??= this.client.connect();
    await this.connecting;
    const { rows } = await this.client.query<{ is_read_only: boolean }>(QUESTION);
    if (rows[0]?.is_read_only === true) throw new Error('it can only be read');
  }

  cutOff(): void {
    const { connection } = this.client as unknown as {
      connection: { stream: { destroy(): void } };
    };
    connection.stream.destroy();
  }

  async end(): Promise<void> {
    await this.client.end();
  }
}
