import { randomUUID } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';

import { cloneDatabase, type TestDatabase } from '../support/test-database.js';

interface Member {
  tenant: string;
  user: string;
  role: string;
}

describe('row-level security, as the app role', () => {
  let database: TestDatabase;
  let admin: pg.Client;
  let app: pg.Client;
  const ids = {
    planA: randomUUID(),
    sharedA: randomUUID(),
    executionA: randomUUID(),
    logA: randomUUID(),
    blobA: randomUUID(),
    scheduleA: randomUUID(),
    webhookA: randomUUID(),
  };
  let adminA: Member;
  let userA: Member;
  let otherA: Member;
  let adminB: Member;

  beforeAll(async () => {
    database = await cloneDatabase();
    admin = new pg.Client({ connectionString: database.adminUrl });
    app = new pg.Client({ connectionString: database.appUrl });
    await admin.connect();
    await app.connect();
    adminA = await insertTenant('a');
    adminB = await insertTenant('b');
    userA = await insertUser(adminA.tenant, 'user');
    otherA = await insertUser(adminA.tenant, 'user');
    await insertPlan(ids.planA, userA, 'private');
    await insertPlan(ids.sharedA, userA, 'tenant');
    await admin.query(
      `insert into executions (tenant_id, id, definition, owner_id, visibility, status, trigger, input)
       values ($1, $2, '{}', $3, 'private', 'success', 'manual', '{}')`,
      [userA.tenant, ids.executionA, userA.user],
    );
    await admin.query(
      `insert into execution_logs (tenant_id, id, execution_id, owner_id, visibility, step_id, attempt,
                                   provider, action, version, status, started_at)
       values ($1, $2, $3, $4, 'private', 's', 1, 'logic', 'set', '1.0.0', 'success', now())`,
      [userA.tenant, ids.logA, ids.executionA, userA.user],
    );
    await admin.query(
      `insert into execution_waits (tenant_id, id, execution_id, owner_id, visibility, step_id, iteration, kind, status)
       values ($1, gen_random_uuid(), $2, $3, 'private', 's', 0, 'callback', 'open')`,
      [userA.tenant, ids.executionA, userA.user],
    );
    await admin.query(
      `insert into execution_blobs (tenant_id, id, execution_id, owner_id, visibility, bytes, value)
       values ($1, $2, $3, $4, 'private', 2, '{}')`,
      [userA.tenant, ids.blobA, ids.executionA, userA.user],
    );
    await admin.query(
      `insert into audit_log (tenant_id, id, actor_id, user_id, action, outcome, details)
       values ($1, gen_random_uuid(), $2, $2, 'user.created', 'success', '{}')`,
      [adminA.tenant, adminA.user],
    );
    await admin.query(
      `insert into sessions (tenant_id, id, user_id, api_key_id, expires_at)
       values ($1, gen_random_uuid(), $2, $2, now() + interval '1 hour')`,
      [userA.tenant, userA.user],
    );
    await admin.query(`insert into plugins (id, package, origin) values ('p', 'p', 'operator')`);
    await admin.query(
      `insert into tenant_plugins (tenant_id, plugin_id, enabled) values ($1, 'p', true)`,
      [adminA.tenant],
    );
    await admin.query(
      `insert into tenant_keys (tenant_id, version, root_key_id, wrapped_key) values ($1, 1, 'local', '')`,
      [userA.tenant],
    );
    await admin.query(
      `insert into credentials (tenant_id, id, provider, type, name, scope, owner_id, fields, secrets, masked, hosts, key_version)
       values ($1, gen_random_uuid(), 'p', 'api', 'default', 'tenant', $2, '{}', '{}', '{}', '{}', 1)`,
      [userA.tenant, userA.user],
    );
    await admin.query(
      `insert into schedules (tenant_id, id, plan_id, owner_id, plan_version, every_seconds, timezone, anchor_at,
                              overlap, catch_up, catch_up_seconds, jitter_seconds, input, status)
       values ($1, $2, $3, $4, 1, 60, 'UTC', now(), 'skip', 'none', 60, 0, '{}', 'paused')`,
      [userA.tenant, ids.scheduleA, ids.planA, userA.user],
    );
    await admin.query(
      `insert into webhooks (tenant_id, id, plan_id, owner_id, plan_version, path, respond)
       values ($1, $2, $3, $4, 1, 'a', 'ack')`,
      [userA.tenant, ids.webhookA, ids.planA, userA.user],
    );
    await admin.query(
      `insert into schedule_fires (tenant_id, schedule_id, nominal_at, outcome, execution_id)
       values ($1, $2, now(), 'started', $3)`,
      [userA.tenant, ids.scheduleA, ids.executionA],
    );
    await admin.query(
      `insert into execution_limits (tenant_id, kind, subject, max_running) values ($1, 'provider', 'p', 1)`,
      [adminA.tenant],
    );
    await admin.query(`insert into tenant_shares (tenant_id, weight) values ($1, 10)`, [
      adminA.tenant,
    ]);
    await admin.query(
      `insert into tenant_policies (tenant_id, default_rule, include, exclude, tier_cap)
       values ($1, 'include', '{}', '{}', 'worker')`,
      [adminA.tenant],
    );
  });

  afterAll(async () => {
    await app.end();
    await admin.end();
    await database.drop();
  });

  it('is enabled and forced on every table', async () => {
    const { rows } = await admin.query<{ relname: string }>(
      `select relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'public' and relkind in ('r', 'p') and relname <> 'migrations'
          and not (relrowsecurity and relforcerowsecurity)`,
    );
    expect(rows).toEqual([]);
  });

  it('shows tenant B nothing of A, and nobody anything, in every table with a tenant', async () => {
    const { rows } = await admin.query<{ name: string }>(
      `select table_name as name from information_schema.columns
        where table_schema = 'public' and column_name = 'tenant_id' order by 1`,
    );
    expect(rows.length).toBeGreaterThan(6);
    for (const { name } of rows) {
      const ofA = `select 1 from ${name} where tenant_id = '${adminA.tenant}'`;
      const all = (await admin.query(ofA)).rowCount ?? 0;
      expect([name, all > 0]).toEqual([name, true]); // or the test would prove nothing
      expect([name, await as(adminB, ofA)]).toEqual([name, 0]);
      expect([name, (await app.query(`select 1 from ${name}`)).rowCount]).toEqual([name, 0]);
    }
  });

  it('shows private plans, executions and logs to their owner and tenant admins alone', async () => {
    for (const [table, id] of [
      ['plans', ids.planA],
      ['executions', ids.executionA],
      ['execution_logs', ids.logA],
      ['execution_blobs', ids.blobA],
    ] as const) {
      const query = `select 1 from ${table} where id = '${id}'`;
      expect([table, await as(userA, query)]).toEqual([table, 1]);
      expect([table, await as(adminA, query)]).toEqual([table, 1]);
      expect([table, await as(otherA, query)]).toEqual([table, 0]);
    }
    const versions = `select 1 from plan_versions where plan_id = '${ids.planA}'`;
    expect(await as(userA, versions)).toBe(1);
    expect(await as(otherA, versions)).toBe(0);
  });

  it('lets members read a shared plan and its owner and admins change it', async () => {
    const read = `select 1 from plans where id = '${ids.sharedA}'`;
    const change = `update plans set name = name where id = '${ids.sharedA}'`;
    expect(await as(otherA, read)).toBe(1);
    expect(await as(otherA, change)).toBe(0);
    expect(await as(userA, change)).toBe(1);
    expect(await as(adminA, change)).toBe(1);
    expect(await as(adminB, change)).toBe(0);
  });

  it('refuses to write into another tenant, whatever the statement says', async () => {
    const insert = `insert into plans (tenant_id, id, owner_id, name, version)
                    values ('${adminA.tenant}', '${randomUUID()}', '${userA.user}', 'x', 1)`;
    await expect(as(adminB, insert)).rejects.toThrow(/row-level security/);
    const move = `update plans set tenant_id = '${adminB.tenant}' where id = '${ids.planA}'`;
    await expect(as(userA, move)).rejects.toThrow(/row-level security/);
  });

  it("can't refer to another tenant's rows", async () => {
    const accept = (more: object): string => {
      const run = { tenant_id: adminB.tenant, id: randomUUID(), owner_id: adminB.user };
      const what = { definition: {}, visibility: 'private', trigger: 'manual', entries: [] };
      return `select flush_runs('${JSON.stringify([{ ...run, ...what, ...more }])}', '[]')`;
    };
    expect(await as(adminB, accept({}))).toBe(1); // or it would prove nothing
    for (const [more, constraint] of [
      [{ plan_id: ids.planA }, /fk_executions_plan/],
      [{ origin_id: ids.executionA }, /fk_executions_origin/],
    ] as const) {
      await expect(as(adminB, accept(more))).rejects.toThrow(constraint);
    }
    const foreign = accept({ owner_id: userA.user });
    await expect(app.query(foreign)).rejects.toThrow(/fk_executions_owner/);
    // In a transaction of somebody's, nobody else's run begins, also within the tenant.
    const asAnother = accept({ tenant_id: userA.tenant, owner_id: userA.user });
    for (const [member, sql] of [
      [adminB, foreign],
      [adminB, asAnother],
      [otherA, asAnother],
    ] as const) {
      await expect(as(member, sql)).rejects.toThrow(/begun by its owner alone/);
    }
    expect(await as(userA, asAnother)).toBe(1);
  });

  it("can't end a run, also one that is seen, as hosts do", async () => {
    const run = { tenant_id: userA.tenant, run: ids.executionA, host_id: randomUUID(), epoch: 0 };
    const write = JSON.stringify([{ ...run, becomes: 'success', entries: [], is_plain: true }]);
    for (const member of [userA, adminA, otherA, adminB]) {
      const writing = as(member, `select flush_runs('[]', '${write}')`);
      await expect(writing).rejects.toThrow(/written by the host/);
    }
  });

  it('lets nobody write runs and journals but by the function that holds leases against rows', async () => {
    for (const sql of [
      `insert into executions (tenant_id) values ('${adminA.tenant}')`,
      `insert into execution_logs (tenant_id) values ('${adminA.tenant}')`,
      `update execution_logs set output = '1'`,
    ]) {
      await expect(as(adminA, sql)).rejects.toThrow(/permission denied/);
    }
  });

  it("doesn't let an admin make a key with an operator's rights, nor a second operator", async () => {
    const operator = await insertUser(adminA.tenant, 'admin');
    await admin.query('update users set is_operator = true where id = $1', [operator.user]);
    const insert = (user: string): string =>
      `insert into api_keys (tenant_id, id, user_id, name, prefix, key_hash)
       values ('${adminA.tenant}', gen_random_uuid(), '${user}', 'k', 'sw_', gen_random_uuid()::text)`;
    expect(await as(adminA, insert(userA.user))).toBe(1);
    await expect(as(adminA, insert(operator.user))).rejects.toThrow(/row-level security/);
    await expect(as(userA, insert(adminA.user))).rejects.toThrow(/row-level security/);
    const second = {
      tenant_id: randomUUID(),
      user_id: randomUUID(),
      key_id: randomUUID(),
      name: 'c',
      external_id: 'x',
      user_name: 'x',
      is_operator: true,
      key_name: 'k',
      key_prefix: 'k',
      key_hash: 'h',
    };
    await app.query('select create_tenant($1)', [JSON.stringify(second)]);
    const made = await admin.query('select is_operator from users where id = $1', [second.user_id]);
    expect(made.rows).toEqual([{ is_operator: false }]);
  });

  it('shows a session to its user and tenant admins alone, and lets nobody begin one for another', async () => {
    const read = 'select 1 from sessions';
    expect(await as(userA, read)).toBe(1);
    expect(await as(adminA, read)).toBe(1);
    expect(await as(otherA, read)).toBe(0);
    const begin = `insert into sessions (tenant_id, id, user_id, api_key_id, expires_at)
      values ('${userA.tenant}', gen_random_uuid(), '${userA.user}', '${userA.user}', now())`;
    expect(await as(userA, begin)).toBe(1);
    await expect(as(otherA, begin)).rejects.toThrow(/row-level security/);
    await expect(as(adminA, begin)).rejects.toThrow(/row-level security/);
    await expect(
      as(adminB, begin.replace(userA.tenant, adminB.tenant).replace(userA.user, adminB.user)),
    ).rejects.toThrow(/fk_sessions_api_key/);
  });

  it('keeps a key as it was made: nobody widens, moves, revives or removes one', async () => {
    for (const change of [
      `permissions = null`,
      `user_id = '${adminA.user}'`,
      `expires_at = null`,
      `key_hash = 'x'`,
    ]) {
      await expect(as(adminA, `update api_keys set ${change}`)).rejects.toThrow(
        /permission denied/,
      );
    }
    for (const table of ['api_keys', 'sessions']) {
      const set = (revokedAt: string): Promise<number | null> =>
        as(adminA, `update ${table} set revoked_at = ${revokedAt} where user_id = '${userA.user}'`);
      expect(await set('now()')).toBeGreaterThan(0);
      await expect(set('null')).rejects.toThrow(/row-level security/);
    }
    await expect(as(adminA, 'delete from api_keys')).rejects.toThrow(/permission denied/);
    await expect(as(adminA, 'delete from users')).rejects.toThrow(/permission denied/);
  });

  it('keeps what a run walks as it was at its start', async () => {
    for (const change of [`definition = '{}'`, `input = '{}'`, `owner_id = '${otherA.user}'`]) {
      await expect(as(userA, `update executions set ${change}`)).rejects.toThrow(
        /permission denied/,
      );
    }
  });

  it('lets nobody leave a schedule active that runs as somebody else', async () => {
    const change = (set: string): string =>
      `update schedules set ${set}, next_fire_at = now(), due_at = now() where id = '${ids.scheduleA}'`;
    const runsAs = ({ user }: Member): string => `status = 'active', owner_id = '${user}'`;
    expect(await as(userA, change(runsAs(userA)))).toBe(1);
    expect(await as(adminA, change(runsAs(adminA)))).toBe(1);
    await expect(as(userA, change(runsAs(adminA)))).rejects.toThrow(/row-level security/);
    await expect(as(adminA, change(runsAs(userA)))).rejects.toThrow(/row-level security/);
    expect(await as(otherA, change(runsAs(otherA)))).toBe(0);
    await expect(
      as(userA, `update schedules set plan_id = '${ids.sharedA}' where id = '${ids.scheduleA}'`),
    ).rejects.toThrow(/permission denied/);
  });

  it('lets nobody make a webhook that runs as somebody else, nor change one', async () => {
    const insert = (plan: string, owner: Member): string =>
      `insert into webhooks (tenant_id, id, plan_id, owner_id, plan_version, path, respond)
       values ('${owner.tenant}', gen_random_uuid(), '${plan}', '${owner.user}', 1, gen_random_uuid()::text, 'ack')`;
    expect(await as(userA, insert(ids.planA, userA))).toBe(1);
    expect(await as(adminA, insert(ids.planA, adminA))).toBe(1);
    for (const [member, plan, owner] of [
      [userA, ids.planA, adminA],
      [adminA, ids.planA, userA],
      [otherA, ids.sharedA, otherA],
      [adminB, ids.planA, adminA],
    ] as const) {
      await expect(as(member, insert(plan, owner))).rejects.toThrow(/row-level security/);
    }
    await expect(as(adminB, insert(ids.planA, adminB))).rejects.toThrow(/row-level security/);
    await expect(as(userA, `update webhooks set respond = 'last_step'`)).rejects.toThrow(
      /permission denied/,
    );
    const remove = `delete from webhooks where id = '${ids.webhookA}'`;
    expect(await as(otherA, remove)).toBe(0);
    expect(await as(userA, remove)).toBe(1);
    expect(await as(adminA, remove)).toBe(1);
  });

  it('lets an operator user be changed by himself alone', async () => {
    const operator = await insertUser(adminB.tenant, 'admin');
    await admin.query('update users set is_operator = true where id = $1', [operator.user]);
    const rename = `update users set name = 'y' where id = '${operator.user}'`;
    expect(await as(adminB, rename)).toBe(0);
    expect(await as(operator, rename)).toBe(1);
    expect(await as(adminB, `update users set name = 'y' where id = '${adminB.user}'`)).toBe(1);
  });

  it("doesn't make a member an operator", async () => {
    const promote = `update users set is_operator = true where id = '${adminB.user}'`;
    await expect(as(adminB, promote)).rejects.toThrow(/permission denied/);
  });

  it.each([
    ['set role stepwell_owner', /permission denied/],
    ['set role stepwell_system', /permission denied/],
    ['truncate plans', /permission denied/],
    ['alter table plans disable row level security', /must be owner/],
    ['select * from installation', /permission denied/],
    ['select * from hosts', /permission denied/],
    ['select * from migrations', /permission denied/],
    ['create table mine (id int)', /permission denied/],
    [
      `insert into plugins (id, package, origin) values ('x', 'x', 'operator')`,
      /permission denied/,
    ],
    [`update plugin_bundles set source = 'x'`, /permission denied/],
    [`update tenant_shares set weight = 100`, /permission denied/],
    [`select add_claims('{}')`, /permission denied/],
    [`delete from plan_versions`, /permission denied/],
  ])('denies: %s', async (sql, reason) => {
    await expect(as(adminA, sql)).rejects.toThrow(reason);
  });

  it('shows nothing more with row_security off', async () => {
    await expect(as(adminB, 'set local row_security = off; select 1 from plans')).rejects.toThrow(
      /row-level security/,
    );
  });

  it('lets only the system role own functions that look across tenants, with a pinned search_path', async () => {
    const { rows } = await admin.query<{
      proname: string;
      owner: string;
      config: string[] | null;
      public: boolean;
    }>(
      `select p.proname, pg_get_userbyid(p.proowner) as owner, p.proconfig as config,
              has_function_privilege('public', p.oid, 'execute') as public
         from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where n.nspname = 'public' and p.prosecdef`,
    );
    expect(rows.length).toBeGreaterThan(5);
    // Whoever makes and drops partitions has to own their table; of its rows it sees none.
    const ofOwner = ['make_log_week', 'make_log_weeks', 'drop_log_week'];
    for (const row of rows) {
      const owner = ofOwner.includes(row.proname) ? 'stepwell_owner' : 'stepwell_system';
      expect(row).toMatchObject({ owner, public: false });
      const [path, ...others] = row.config ?? [];
      expect(path).toBe('search_path=pg_catalog, public, pg_temp');
      // What else is pinned says how to plan and how long to wait, never what is reached.
      for (const one of others) {
        expect(one).toMatch(/^(plan_cache_mode|enable_\w+|jit|lock_timeout)=/);
      }
    }
  });

  it('authenticates nobody by nothing', async () => {
    for (const [hash, session] of [
      [null, null],
      ['', null],
      [null, randomUUID()],
      ['%', null],
      [userA.user.toUpperCase(), null], // a hash is told by every character of it
    ]) {
      const { rows } = await app.query('select * from authenticate($1, $2)', [hash, session]);
      expect([hash, rows]).toEqual([hash, []]);
    }
    const known = await app.query('select * from authenticate($1, null)', [userA.user]);
    expect(known.rowCount).toBe(1); // or it would prove nothing
  });

  it('gives the app role no table to empty, to refer to or to hang a trigger on', async () => {
    const { rows } = await admin.query(
      `select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'public' and c.relkind in ('r', 'p')
          and has_table_privilege('stepwell_app', c.oid, 'truncate, references, trigger')`,
    );
    expect(rows).toEqual([]);
  });

  it('leaves the roles without a way up', async () => {
    const { rows } = await admin.query(
      `select rolname, rolsuper or rolbypassrls or rolcreaterole or rolcreatedb as powerful, rolcanlogin,
              exists (select from pg_auth_members m where m.member = r.oid) as member
         from pg_roles r where rolname in ('stepwell_app', 'stepwell_system', 'stepwell_owner') order by 1`,
    );
    expect(rows).toEqual([
      { rolname: 'stepwell_app', powerful: false, rolcanlogin: true, member: false },
      { rolname: 'stepwell_owner', powerful: false, rolcanlogin: false, member: false },
      { rolname: 'stepwell_system', powerful: false, rolcanlogin: false, member: false },
    ]);
  });

  /** Runs SQL as withTenant would; the count of rows. */
  async function as(member: Member, sql: string): Promise<number | null> {
    await app.query('begin');
    try {
      await app.query(
        `select set_config('app.tenant_id', $1, true), set_config('app.user_id', $2, true), set_config('app.role', $3, true)`,
        [member.tenant, member.user, member.role],
      );
      const result = await app.query(sql);
      return (Array.isArray(result) ? (result.at(-1) as pg.QueryResult) : result).rowCount;
    } finally {
      await app.query('rollback');
    }
  }

  async function insertTenant(name: string): Promise<Member> {
    const tenant = randomUUID();
    await admin.query('insert into tenants (id, name) values ($1, $2)', [tenant, name]);
    return await insertUser(tenant, 'admin');
  }

  async function insertUser(tenant: string, role: string): Promise<Member> {
    const user = randomUUID();
    await admin.query(
      `insert into users (tenant_id, id, external_id, name, role) values ($1, $2::uuid, $2::text, 'x', $3)`,
      [tenant, user, role],
    );
    await admin.query(
      `insert into api_keys (tenant_id, id, user_id, name, prefix, key_hash)
       values ($1, $2::uuid, $2::uuid, 'k', 'sw_', $2::text)`,
      [tenant, user],
    );
    return { tenant, user, role };
  }

  async function insertPlan(id: string, owner: Member, visibility: string): Promise<void> {
    await admin.query(
      `insert into plans (tenant_id, id, owner_id, name, visibility, version) values ($1, $2, $3, 'p', $4, 1)`,
      [owner.tenant, id, owner.user, visibility],
    );
    await admin.query(
      `insert into plan_versions (tenant_id, plan_id, version, steps, pins, created_by) values ($1, $2, 1, '[]', '{}', $3)`,
      [owner.tenant, id, owner.user],
    );
  }
});
