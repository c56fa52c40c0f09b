import pg from 'pg';

/**
 * A client that closes its connection when a query takes too long. pg gives up on the answer but
 * keeps the connection, and with it whatever transaction is open: given back to a pool, it would
 * carry that into somebody else's work.
 */
export class ImpatientClient extends pg.Client {
  constructor(config?: pg.ClientConfig) {
    super(config);
    const query = this.query.bind(this) as (...args: unknown[]) => unknown;
    const watched = (...args: unknown[]): unknown => {
      const answer = query(...args);
      if (answer instanceof Promise) {
        answer.catch((error: unknown) => {
          if (error instanceof Error && error.message === 'Query read timeout') this.cutOff(error);
        });
      }
      return answer;
    };
    this.query = watched as typeof this.query;
  }

  private cutOff(reason: Error): void {
    const { connection } = this as unknown as {
      connection: { stream: { destroy(why: Error): void } };
    };
    connection.stream.destroy(reason);
  }
}
