import { Logger, runMigrations } from 'graphile-worker';
import pg from 'pg';

import { StartupError } from '../common/errors.js';
import type { DatabaseRoles } from './roles.js';

/** Where the queue keeps its tables, in the same database. */
export const QUEUE_SCHEMA = 'graphile_worker';

/**
 * Installs the tables of the queue, or brings them up to the version of its library that comes with this
 * code, and lets the other roles do what its work needs and no more. Safe to repeat. The owner must be
 * allowed to create schemas meanwhile.
 * @throws StartupError when a newer host has brought them further.
 */
export async function installQueueSchema(adminUrl: string, roles: DatabaseRoles): Promise<void> {
  const pool = new pg.Pool({
    connectionString: adminUrl,
    max: 1,
    options: `-c role=${roles.owner}`,
  });
  // A connection that breaks fails the statement on it, which says so.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
  try {
    await runMigrations({
      pgPool: pool,
      schema: QUEUE_SCHEMA,
      logger: new Logger(() => () => undefined),
      preset: { plugins: [REFUSE_NEWER] },
    });
    await pool.query(accessRules(roles));
  } finally {
    await pool.end();
  }
}

/** Asked before the library looks itself, which would set the exit code of the process. */
const REFUSE_NEWER: GraphileConfig.Plugin = {
  name: 'refuse-newer-queue',
  version: '1.0.0',
  worker: {
    hooks: {
      async premigrate(_, { ctx, client }) {
        const { rows } = await client.query<{ version: number }>(
          `select coalesce(max(id), 0) as version from ${QUEUE_SCHEMA}.migrations`,
        );
        const version = rows[0]?.version ?? 0;
        if (version > ctx.maxMigrationNumber) {
          throw new StartupError(
            `the queue in this database is newer (${String(version)}) than this code knows (${String(ctx.maxMigrationNumber)}); start the Stepwell version that migrated it, or a newer one`,
          );
        }
      },
    },
  },
};

/**
 * The tables have row-level security and no policies. Hosts take jobs, complete and fail them as the app
 * role; jobs are added by functions of the system role alone.
 */
function accessRules(roles: DatabaseRoles): string {
  const app = pg.escapeIdentifier(roles.app);
  const system = pg.escapeIdentifier(roles.system);
  const tables = ['_private_jobs', '_private_job_queues', '_private_tasks'];
  const policies = tables.flatMap((table) =>
    (['app', 'system'] as const).map(
      (role) => `
        if not exists (select from pg_policies where schemaname = '${QUEUE_SCHEMA}'
                        and tablename = '${table}' and policyname = 'stepwell_${role}') then
          create policy stepwell_${role} on ${QUEUE_SCHEMA}.${table} for all
            to ${role === 'app' ? app : system} using (true) with check (true);
        end if;`,
    ),
  );
  return `
    grant usage on schema ${QUEUE_SCHEMA} to ${app}, ${system};
    revoke all on all tables in schema ${QUEUE_SCHEMA} from ${app}, ${system};
    grant select, delete, update (attempts, locked_at, locked_by, last_error, run_at, payload)
      on ${QUEUE_SCHEMA}._private_jobs to ${app};
    grant select, update (locked_at, locked_by) on ${QUEUE_SCHEMA}._private_job_queues to ${app};
    grant select, insert on ${QUEUE_SCHEMA}._private_tasks to ${app};
    grant select, insert, update, delete on ${QUEUE_SCHEMA}._private_jobs to ${system};
    grant select, insert, update on ${QUEUE_SCHEMA}._private_job_queues to ${system};
    grant select, insert on ${QUEUE_SCHEMA}._private_tasks to ${system};
    do $policies$ begin ${policies.join('')} end $policies$;`;
}
