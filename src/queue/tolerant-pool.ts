import type pg from 'pg';

/**
 * The pool as the queue's library uses it. A statement that fails brings nothing and is told of here,
 * instead of being thrown: the library leaves the promise of a completion to itself, where an error would
 * end the process, and prints others to the console.
 */
export function tolerantPool(pool: pg.Pool, onFailure: (error: unknown) => void): pg.Pool {
  const query = async (statement: pg.QueryConfig): Promise<pg.QueryResult> => {
    try {
      return await pool.query(statement);
    } catch (error) {
      onFailure(error);
      return { command: '', rowCount: 0, oid: 0, fields: [], rows: [] };
    }
  };
  const client = { query, release: () => undefined };
  const connect = (listen?: ListenCallback): unknown => {
    if (!listen) return Promise.resolve(client);
    // The one connection that stays. The library takes another when it breaks, and gives back the broken
    // one twice when it stops just then.
    pool.connect((error, connected, done) => {
      let isHeld = true;
      listen(error, connected, (broken) => {
        if (isHeld) done(broken);
        isHeld = false;
      });
    });
    return undefined;
  };
  return { connect } as unknown as pg.Pool;
}

type ListenCallback = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  done: (broken?: boolean | Error) => void,
) => void;
