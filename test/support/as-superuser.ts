import pg from 'pg';

import type { TestDatabase } from './test-database.js';

/** Runs SQL past every wall, to set up what no request can, or to read what none may. */
export async function asSuperuser<Row extends pg.QueryResultRow>(
  database: TestDatabase,
  sql: string,
  params: unknown[] = [],
): Promise<Row[]> {
  const client = new pg.Client({ connectionString: database.adminUrl });
  await client.connect();
  try {
    return (await client.query<Row>(sql, params)).rows;
  } finally {
    await client.end();
  }
}
