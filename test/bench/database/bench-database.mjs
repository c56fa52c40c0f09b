import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { DataSource } from 'typeorm';

import { startEmbeddedPostgres } from '../../../dist/database/embedded-postgres.js';
import { prepareDatabase } from '../../../dist/database/prepare-database.js';
import { readVersions, withClient } from './versions.mjs';

const POOL_SIZE = 20;

/**
 * A PostgreSQL with all migrations, one tenant, and no host.
 * @returns {Promise<{ source: DataSource, tenant: { id: string, userId: string }, close: () => Promise<void> }>} `source`
 *   connects as the app role
 */
export async function openBenchDatabase({ directory, keeper }) {
  const server = await startEmbeddedPostgres({ directory, database: 'stepwell' });
  const lockFile = readFileSync(join(directory, 'data', 'postmaster.pid'), 'utf8');
  keeper.watch('database', Number(lockFile.split('\n')[0]));
  const adminUrl = server.url;
  const url = await prepareDatabase({
    ...{ adminUrl, appUrl: null, rolePrefix: 'stepwell_', rootKey: Buffer.alloc(32, 7) },
  });
  await readVersions(adminUrl);
  const tenant = await withClient(adminUrl, addTenant);
  const source = new DataSource({ type: 'postgres', url, poolSize: POOL_SIZE });
  await source.initialize();
  return {
    source,
    tenant,
    close: async () => {
      await source.destroy();
      await server.stop();
    },
  };
}

async function addTenant(admin) {
  const tenant = { id: randomUUID(), userId: randomUUID() };
  await admin.query(`insert into tenants (id, name) values ($1, 'bench')`, [tenant.id]);
  await admin.query(
    `insert into users (tenant_id, id, external_id, name, role) values ($1, $2, 'u', 'u', 'user')`,
    [tenant.id, tenant.userId],
  );
  // Single writes go as the app role, which has no right to write runs by itself.
  await admin.query('grant insert, update on executions, execution_logs to stepwell_app');
  return tenant;
}
