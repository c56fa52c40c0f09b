import pg from 'pg';

import { StartupError } from '../common/errors.js';

/**
 * owner: migrations only. app: what requests run as; owns nothing, member of nothing, bound by RLS.
 * system: can't log in; owns the few functions that must look across tenants.
 */
export interface DatabaseRoles {
  owner: string;
  app: string;
  system: string;
}

export function rolesOf(prefix: string): DatabaseRoles {
  return { owner: `${prefix}owner`, app: `${prefix}app`, system: `${prefix}system` };
}

/**
 * Makes the roles that are missing (they belong to the whole cluster) and lets the owner create in
 * this database. Needs a connection that may create roles.
 * @throws StartupError when it may not, or when an existing app role has more rights than it should.
 */
export async function ensureRoles(
  client: pg.Client,
  roles: DatabaseRoles,
  appPassword: string,
): Promise<void> {
  const existing = await readRoles(client, roles);
  const q = (name: string): string => pg.escapeIdentifier(name);
  try {
    if (!existing.has(roles.owner))
      await createRole(client, `create role ${q(roles.owner)} nologin`);
    if (!existing.has(roles.system))
      await createRole(client, `create role ${q(roles.system)} nologin`);
    if (!existing.has(roles.app)) {
      const password = pg.escapeLiteral(appPassword);
      await createRole(client, `create role ${q(roles.app)} login password ${password}`);
    }
    const { rows } = await client.query<{ database: string; superuser: boolean }>(
      `select current_database() as database, rolsuper as superuser from pg_roles where rolname = current_user`,
    );
    const database = rows[0]?.database ?? '';
    if (rows[0]?.superuser !== true) await client.query(`grant ${q(roles.owner)} to current_user`);
    await client.query(`grant create, usage on schema public to ${q(roles.owner)}`);
    await client.query(`grant connect on database ${q(database)} to ${q(roles.app)}`);
  } catch (error) {
    if ((error as { code?: string }).code !== '42501') throw error;
    throw new StartupError(
      `the database user may not create roles or grant rights on schema public; use one that has CREATEROLE and owns the database, in DATABASE_URL or STEPWELL_MIGRATION_URL`,
      error,
    );
  }
  const app = (await readRoles(client, roles)).get(roles.app);
  if (!app || app.superuser || app.bypassrls || app.member) {
    throw new StartupError(
      `the role ${roles.app} must not be a superuser, bypass row-level security or be a member of another role; drop it, and Stepwell makes it anew`,
    );
  }
}

interface RoleRow {
  name: string;
  superuser: boolean;
  bypassrls: boolean;
  member: boolean;
}

async function readRoles(client: pg.Client, roles: DatabaseRoles): Promise<Map<string, RoleRow>> {
  const { rows } = await client.query<RoleRow>(
    `select r.rolname as name, r.rolsuper as superuser, r.rolbypassrls as bypassrls,
            exists (select from pg_auth_members m where m.member = r.oid) as member
       from pg_roles r where r.rolname = any ($1)`,
    [[roles.owner, roles.app, roles.system]],
  );
  return new Map(rows.map((row) => [row.name, row]));
}

/** Another host on another database of this cluster may make the same role in the same moment. */
async function createRole(client: pg.Client, sql: string): Promise<void> {
  try {
    await client.query(sql);
  } catch (error) {
    const code = (error as { code?: string }).code ?? '';
    if (code !== '42710' && code !== '23505') throw error;
  }
}
