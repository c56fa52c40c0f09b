import pg from 'pg';

/** On a connection of its own, for `await using`. */
export async function openFill(host) {
  const client = new pg.Client({ connectionString: host.databaseUrl });
  // Who interrupts the bench ends the database under it; whoever asks then is told by the answer.
  client.on('error', () => undefined);
  await client.connect();
  return new Fill(client);
}

/**
 * Fills a database past the host, as its superuser. Triggers and foreign keys rest meanwhile: what they
 * would see to stands in the rows.
 */
class Fill {
  constructor(client) {
    this.client = client;
  }

  /** The tenant of an API key's user, and that user. */
  async findCaller(api) {
    const { user } = await api.send('GET', '/api/auth/me');
    const { rows } = await this.client.query(
      'select tenant_id, id as owner_id from users where id = $1',
      [user.id],
    );
    return rows[0];
  }

  /** @returns as many new tenants with a user each */
  async addTenants(count) {
    return await this.#quietly(async () => {
      const { rows } = await this.client.query(
        `with t as (
           insert into tenants (id, name) select uuidv7(), 'wide ' || n from generate_series(1, $1) as n returning id
         )
         insert into users (tenant_id, id, external_id, name, role)
         select id, uuidv7(), 'u', 'u', 'admin' from t returning tenant_id, id as owner_id`,
        [count],
      );
      return rows;
    });
  }

  /** Copies a plan, `count` times for each of some owners; named `wide <n>`. */
  async addPlans(plan, owners, count) {
    await this.#quietly(async () => {
      await this.client.query(
        `with p as (
           insert into plans (tenant_id, id, owner_id, name, visibility, version)
           select o.tenant_id, uuidv7(), o.owner_id, 'wide ' || n, 'private', 1
             from jsonb_to_recordset($1) as o(tenant_id uuid, owner_id uuid), generate_series(1, $2) as n
           returning tenant_id, id, owner_id
         )
         insert into plan_versions (tenant_id, plan_id, version, steps, pins, created_by)
         select p.tenant_id, p.id, 1, v.steps, v.pins, p.owner_id
           from p, plan_versions v where v.plan_id = $3 and v.version = 1`,
        [JSON.stringify(owners), count, plan.id],
      );
    });
  }

  /** Gives each such plan of theirs a schedule, once a day from a time to come. */
  async addSchedules(owners) {
    await this.#quietly(() =>
      this.client.query(
        `insert into schedules (tenant_id, id, plan_id, owner_id, plan_version, every_seconds, timezone, anchor_at, overlap,
                                catch_up, catch_up_seconds, jitter_seconds, input, status, next_fire_at, due_at)
         select tenant_id, uuidv7(), id, owner_id, 1, 86400, 'UTC', at - interval '1 day', 'skip', 'none', 86400, 0, '{}',
                'active', at, at
           from plans, (select date_trunc('second', now()) + interval '12 hours' as at)
          where name like 'wide %' and tenant_id = any ($1)`,
        [owners.map((one) => one.tenant_id)],
      ),
    );
  }

  /** Puts runs of a plan into the queue, as many for each owner, the oldest of all owners first. */
  async queueRuns(plan, owners, count) {
    await this.#quietly(async () => {
      await this.client.query(
        `with d as materialized (
           select jsonb_build_object('steps', steps, 'pins', pins) as definition
             from plan_versions where plan_id = $3 and version = 1
         ), r as (
           select definition, run_demands(null, definition) as demands from d
         )
         insert into executions (tenant_id, id, owner_id, visibility, definition, status, trigger, input, created_at,
                                 demands, demand_key)
         select o.tenant_id, uuidv7(), o.owner_id, 'private', r.definition, 'queued', 'manual', '{}',
                now() + n * interval '1 microsecond', r.demands, md5(array_to_string(r.demands, E'\\n'))::uuid
           from r, generate_series(1, $2) as n, jsonb_to_recordset($1) as o(tenant_id uuid, owner_id uuid)`,
        [JSON.stringify(owners), count, plan.id],
      );
    });
    await this.client.query('analyze executions');
    await this.client.query('select announce_work($1)', [owners.map((one) => one.tenant_id)]);
  }

  /** Empties the queue; who has begun goes on. @returns how many runs stood in it */
  async clearQueue() {
    return await this.#quietly(async () => {
      const { rowCount } = await this.client.query(
        `delete from executions where status = 'queued'`,
      );
      return rowCount;
    });
  }

  async removeSchedules() {
    await this.#quietly(() =>
      this.client.query('delete from schedule_fires; delete from schedules'),
    );
  }

  /** Brings all schedules to the next whole second but one. @returns when that is */
  async makeDue() {
    return await this.row(
      `with due as (
         select date_trunc('second', clock_timestamp()) + interval '4 seconds' as at
       ), moved as (
         update schedules set next_fire_at = due.at, due_at = due.at, anchor_at = due.at - interval '1 day'
           from due where status = 'active'
       )
       select at from due`,
    );
  }

  async firesSince(at) {
    return await this.row(
      `select count(*)::int as fired, count(e.finished_at)::int as ended,
              extract(epoch from min(f.fired_at) - $1)::float8 as first_s,
              extract(epoch from clock_timestamp() - $1)::float8 as now_s,
              extract(epoch from max(e.finished_at) - $1)::float8 as ended_s
         from schedule_fires f left join executions e on e.tenant_id = f.tenant_id and e.id = f.execution_id
        where f.nominal_at >= $1`,
      [at],
    );
  }

  /** Of this database since its statistics were reset. */
  async activity() {
    await this.client.query('select pg_stat_force_next_flush()');
    return await this.row(
      `select (xact_commit + xact_rollback)::int as transactions, tup_returned::float8 as rows_read,
              pg_current_wal_lsn() - '0/0'::pg_lsn as wal,
              (select count(*)::int from pg_stat_activity where usename = 'stepwell_app') as connections
         from pg_stat_database where datname = current_database()`,
    );
  }

  /** Bytes of tables with their indexes and partitions, of the write-ahead log so far, and commits. */
  async footprint(tables) {
    const sizes = {};
    for (const table of tables) {
      const { bytes } = await this.row(
        `select (pg_total_relation_size($1::regclass)
                  + coalesce((select sum(pg_total_relation_size(p.relid)) from pg_partition_tree($1::regclass) p
                               where p.relid <> $1::regclass), 0))::float8 as bytes`,
        [table],
      );
      sizes[table] = bytes;
    }
    const { wal, transactions } = await this.activity();
    return { ...sizes, wal: Number(wal), commits: transactions };
  }

  async row(sql, params = []) {
    const { rows } = await this.client.query(sql, params);
    return rows[0] ?? null;
  }

  async countEnded() {
    return (
      await this.row(`select count(*)::int as n from executions where finished_at is not null`)
    ).n;
  }

  async countRunning() {
    return (await this.row(`select count(*)::int as n from executions where status = 'running'`)).n;
  }

  async [Symbol.asyncDispose]() {
    await this.client.end();
  }

  async #quietly(work) {
    await this.client.query(`set session_replication_role = 'replica'`);
    try {
      return await work();
    } finally {
      await this.client.query(`set session_replication_role = 'origin'`);
    }
  }
}
