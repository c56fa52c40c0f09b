import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import pg from 'pg';

/** Sets the clock that the engine asks what is due, on the embedded database of a home. */
export async function advanceEngineClock(home: string, seconds: number): Promise<void> {
  const directory = join(home, 'postgres');
  const password = readFileSync(join(directory, 'password'), 'utf8').trim();
  const port = Number(
    readFileSync(join(directory, 'data', 'postmaster.pid'), 'utf8').split('\n')[3],
  );
  const client = new pg.Client({
    ...{ host: '127.0.0.1', port, user: 'postgres', password, database: 'stepwell' },
  });
  await client.connect();
  try {
    await client.query(
      `create or replace function engine_now() returns timestamptz language sql stable parallel safe
         as $$ select now() + interval '${String(seconds)} seconds' $$`,
    );
  } finally {
    await client.end();
  }
}
