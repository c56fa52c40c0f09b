import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';

import { ImpatientClient } from '../../src/database/impatient-client.js';
import { eventually } from '../support/eventually.js';
import { cloneDatabase, type TestDatabase } from '../support/test-database.js';

describe('a query that takes too long', () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await cloneDatabase();
  });

  afterAll(async () => {
    await database.drop();
  });

  it('costs the connection, so that no open transaction gets into other hands', async () => {
    const pool = new pg.Pool({
      connectionString: database.appUrl,
      Client: ImpatientClient,
      max: 1,
      query_timeout: 200,
    });
    pool.on('error', () => undefined);
    const client = await pool.connect();
    let hasEnded = false;
    client.on('error', () => undefined).on('end', () => (hasEnded = true));
    await client.query('begin');
    await expect(client.query('select pg_sleep(30)')).rejects.toThrow('Query read timeout');
    await eventually('the end of the connection', () => hasEnded);
    client.release(true);
    const { rows } = await pool.query<{ open: boolean }>(
      'select now() <> statement_timestamp() as open',
    );
    expect(rows).toEqual([{ open: false }]);
    await pool.end();
  });
});
