import pg from 'pg';
import { DataSource } from 'typeorm';

import { messageOf, StartupError } from '../common/errors.js';
import { loadMigrations } from './migrations.js';
import { installQueueSchema } from './queue-schema.js';
import { ensureRoles, rolesOf, type DatabaseRoles } from './roles.js';
import { deriveKey } from './root-key.js';

/** Any number; the same on every host, so that one of them migrates and the others wait. */
const MIGRATION_LOCK = 7_301_946_502;

export interface PrepareOptions {
  /** May create roles and owns the database. */
  adminUrl: string;
  /** The app role's own URL, when an operator keeps the two apart. */
  appUrl: string | null;
  rolePrefix: string;
  rootKey: Buffer;
}

/**
 * Brings a database up to this code: roles, migrations, proof of the root key.
 * @returns the URL that requests connect with, as the app role.
 * @throws StartupError with one line that says what to do.
 */
export async function prepareDatabase(options: PrepareOptions): Promise<string> {
  const roles = rolesOf(options.rolePrefix);
  const appPassword = deriveKey(options.rootKey, 'database app role').toString('base64url');
  const admin = await connect(options.adminUrl);
  try {
    await requireVersion(admin);
    await admin.query('select pg_advisory_lock($1)', [MIGRATION_LOCK]);
    await proveRootKey(admin, roles, options.rootKey); // before anything is changed
    await ensureRoles(admin, roles, appPassword);
    const q = pg.escapeIdentifier;
    // The owner may hand functions to system only as its member, and system may own them only with
    // the right to create, and the queue has a schema of its own; all for as long as migrations take.
    const { rows } = await admin.query<{ name: string }>('select current_database() as name');
    const database = q(rows[0]?.name ?? '');
    await admin.query(`grant ${q(roles.system)} to ${q(roles.owner)}`);
    await admin.query(`grant create on schema public to ${q(roles.system)}`);
    await admin.query(`grant create on database ${database} to ${q(roles.owner)}`);
    try {
      // First: the functions of our migrations call those of the queue.
      await installQueueSchema(options.adminUrl, roles);
      await migrate(options.adminUrl, roles);
    } finally {
      await admin.query(`revoke create on database ${database} from ${q(roles.owner)}`);
      await admin.query(`revoke create on schema public from ${q(roles.system)}`);
      await admin.query(`revoke ${q(roles.system)} from ${q(roles.owner)}`);
    }
    await proveRootKey(admin, roles, options.rootKey); // the first start leaves its proof
  } finally {
    await admin.end(); // ends the session, and with it the lock
  }
  return await proveAppUrl(options, roles, appPassword);
}

/** A TypeORM data source that acts as the owner: for migrations and for the drift gate alone. */
export function ownerDataSource(input: {
  adminUrl: string;
  roles: DatabaseRoles;
  entities?: NonNullable<ConstructorParameters<typeof DataSource>[0]['entities']>;
}): DataSource {
  return new DataSource({
    type: 'postgres',
    url: input.adminUrl,
    entities: input.entities ?? [],
    migrations: loadMigrations(input.roles),
    migrationsTableName: 'migrations',
    extra: { options: `-c role=${input.roles.owner}`, max: 1 },
  });
}

async function migrate(adminUrl: string, roles: DatabaseRoles): Promise<void> {
  const source = ownerDataSource({ adminUrl, roles });
  await source.initialize();
  try {
    await refuseNewerDatabase(source);
    await source.runMigrations({ transaction: 'each' });
  } finally {
    await source.destroy();
  }
}

async function refuseNewerDatabase(source: DataSource): Promise<void> {
  const exists: unknown[] = await source.query(
    `select 1 from pg_tables where tablename = 'migrations' and schemaname = 'public'`,
  );
  if (exists.length === 0) return;
  const applied: { name: string }[] = await source.query('select name from migrations order by id');
  const known = new Set(source.migrations.map((migration) => migration.name));
  const unknown = applied.filter(({ name }) => !known.has(name)).map(({ name }) => name);
  if (unknown.length > 0) {
    throw new StartupError(
      `the database is newer than this code (it has ${unknown.join(', ')}); start the Stepwell version that migrated it, or a newer one`,
    );
  }
}

async function proveRootKey(
  admin: pg.Client,
  roles: DatabaseRoles,
  rootKey: Buffer,
): Promise<void> {
  const { rows: found } = await admin.query<{ exists: boolean }>(
    `select to_regclass('public.installation') is not null as exists`,
  );
  if (found[0]?.exists !== true) return;
  const check = deriveKey(rootKey, 'installation check').toString('base64url');
  await admin.query(`set role ${pg.escapeIdentifier(roles.owner)}`);
  await admin.query(
    'insert into installation (key_check) values ($1) on conflict (id) do nothing',
    [check],
  );
  const { rows } = await admin.query<{ key_check: string }>('select key_check from installation');
  await admin.query('reset role');
  if (rows[0]?.key_check !== check) {
    throw new StartupError(
      'the encryption key is not the one that this database was made with; set STEPWELL_ENCRYPTION_KEY (or restore root.key) to that key',
    );
  }
}

async function proveAppUrl(
  options: PrepareOptions,
  roles: DatabaseRoles,
  appPassword: string,
): Promise<string> {
  const made = new URL(options.adminUrl);
  made.username = roles.app;
  made.password = appPassword;
  const url = options.appUrl ?? made.href;
  let app: pg.Client;
  try {
    app = await connect(url);
  } catch (error) {
    const cause = error instanceof StartupError ? error.cause : error;
    if (options.appUrl !== null || (cause as { code?: string }).code !== '28P01') throw error;
    throw new StartupError(
      `the role ${roles.app} of this PostgreSQL was made with another encryption key; use that key, or another STEPWELL_DB_ROLE_PREFIX`,
      error,
    );
  }
  try {
    const { rows } = await app.query<{ name: string }>('select current_user as name');
    if (rows[0]?.name !== roles.app) {
      throw new StartupError(
        `DATABASE_URL must connect as ${roles.app} when STEPWELL_MIGRATION_URL is set, not as ${rows[0]?.name ?? 'nobody'}`,
      );
    }
  } finally {
    await app.end();
  }
  return url;
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  try {
    await client.connect();
    return client;
  } catch (error) {
    const { hostname, port, username, pathname } = new URL(url);
    const where = `${hostname}:${port === '' ? '5432' : port}`;
    const code = (error as { code?: string }).code ?? '';
    const reasons: Record<string, string> = {
      ECONNREFUSED: `nothing listens at ${where}; is PostgreSQL running there?`,
      ENOTFOUND: `the host ${hostname} is not known`,
      '28P01': `the password of ${decodeURIComponent(username)} at ${where} is wrong`,
      '28000': `${decodeURIComponent(username)} may not connect to ${where}`,
      '3D000': `the database ${pathname.slice(1)} does not exist at ${where}; create it first`,
    };
    throw new StartupError(
      `cannot connect to the database: ${reasons[code] ?? (messageOf(error) || code)} (check DATABASE_URL)`,
      error,
    );
  }
}

async function requireVersion(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ version: number }>(
    `select current_setting('server_version_num')::int as version`,
  );
  if ((rows[0]?.version ?? 0) < 150_000) {
    throw new StartupError(
      'PostgreSQL 15 or newer is needed; DATABASE_URL points to an older server',
    );
  }
}
