import pg from 'pg';

/** Of a server that the bench measures on. @throws Error when its commits aren't durable */
export async function readVersions(url) {
  const { rows } = await withClient(url, (client) =>
    client.query(`
      select current_setting('server_version') as postgres, current_setting('fsync') as fsync,
             current_setting('synchronous_commit') as synchronous_commit`),
  );
  const [versions] = rows;
  if (versions.fsync === 'on' && versions.synchronous_commit === 'on') return versions;
  throw new Error('the bench needs durable commits: fsync or synchronous_commit is off');
}

/** A connection of the superuser's, past the host. */
export async function withClient(url, work) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
