-- The journal in partitions of a week, and what becomes of old executions.

-- Partitions stand in a schema of their own, which requests may not even name: all goes through the table.
create schema partitions;
grant usage on schema partitions to :"system";

alter table execution_logs rename to execution_logs_before;
alter table execution_logs_before
  drop constraint pk_execution_logs,
  drop constraint uq_execution_logs_attempt,
  drop constraint fk_execution_logs_execution;
drop index ix_execution_logs_plan;

-- By the id of the execution, whose first bits are the time at which it began (UUIDv7): all rows of one
-- execution stand together, and no attempt can be there twice.
--
-- No foreign key to executions: it would cost as much as an index for each row, and a partition could be
-- dropped only by reading all of executions. flush_runs alone adds rows, in the transaction that holds the
-- row of their execution; expire_executions alone takes executions away, and their rows with them.
create table execution_logs (
  tenant_id uuid not null,
  id uuid not null,
  execution_id uuid not null,
  plan_id uuid,
  owner_id uuid not null,
  visibility text not null,
  step_id text not null,
  iteration integer not null default 0,
  attempt integer not null,
  provider text not null,
  action text not null,
  version text not null,
  status text not null,
  input jsonb,
  output jsonb,
  message text,
  metadata jsonb,
  error jsonb,
  latency_ms integer,
  started_at timestamptz not null,
  finished_at timestamptz,
  input_blob uuid,
  output_blob uuid,
  constraint pk_execution_logs primary key (tenant_id, execution_id, step_id, iteration, attempt),
  constraint ck_execution_logs_visibility check (visibility in ('private', 'tenant')),
  constraint ck_execution_logs_status check (status in ('started', 'waiting', 'success', 'error', 'skipped'))
) partition by range (execution_id);

-- Lists, by time within what they are filtered by: a page is read from the end of one of these, and what
-- a filter leaves out is never met. Lists of both statuses are put together from two.
create index ix_execution_logs_newest on execution_logs (tenant_id, status, finished_at, id)
  where status in ('success', 'error');
create index ix_execution_logs_plan on execution_logs (tenant_id, plan_id, status, finished_at, id)
  where status in ('success', 'error');
create index ix_execution_logs_provider on execution_logs (tenant_id, provider, status, finished_at, id)
  where status in ('success', 'error');

-- What no week is there for: nothing is ever refused. See make_log_week.
create table partitions.execution_logs_rest partition of execution_logs default;
alter table partitions.execution_logs_rest enable row level security;
alter table partitions.execution_logs_rest force row level security;
create policy owner_moves on partitions.execution_logs_rest for all to :"owner" using (true) with check (true);

-- The first id that can be made at a time.
create function first_id_at(p_at timestamptz) returns uuid
language sql stable parallel safe set search_path = pg_catalog, public, pg_temp
as $$
  select (lpad(to_hex(greatest(floor(extract(epoch from p_at) * 1000), 0)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

create function log_week_of(p_at timestamptz) returns date
language sql stable parallel safe set search_path = pg_catalog, public, pg_temp
as $$ select date_trunc('week', p_at at time zone 'UTC')::date $$;

create function first_id_of_week(p_week date) returns uuid
language sql stable parallel safe set search_path = pg_catalog, public, pg_temp
as $$ select public.first_id_at(p_week::timestamp at time zone 'UTC') $$;

create function log_week_name(p_week date) returns text
language sql stable parallel safe set search_path = pg_catalog, public, pg_temp
as $$ select 'execution_logs_' || to_char(p_week, 'YYYYMMDD') $$;

-- Mondays, by UTC.
create function log_weeks() returns setof date
language sql stable set search_path = pg_catalog, public, pg_temp
as $$
  select to_date(right(c.relname, 8), 'YYYYMMDD')
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where n.nspname = 'partitions' and c.relispartition and c.relname ~ '^execution_logs_\d{8}$'
$$;

-- Makes the partition of a week. Rows that came before it, of hosts whose clock is ahead or after a long
-- time without any host, move into it. It is made aside and then attached, which no writer and no reader
-- has to wait for; those of the rest do, for as long as rows move.
create function make_log_week(p_week date) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp set lock_timeout = '250ms'
as $$
declare
  v_name text := public.log_week_name(p_week);
  v_from uuid := public.first_id_of_week(p_week);
  v_to uuid := public.first_id_of_week(p_week + 7);
begin
  perform pg_advisory_xact_lock(hashtextextended('partitions of execution_logs', 0));
  if exists (select from public.log_weeks() as w where w = p_week) then
    return false;
  end if;
  execute format('create table partitions.%I (like public.execution_logs including all)', v_name);
  lock table partitions.execution_logs_rest in access exclusive mode;
  execute format(
    'with moved as (
       delete from partitions.execution_logs_rest where execution_id >= %L and execution_id < %L returning *)
     insert into partitions.%I select * from moved', v_from, v_to, v_name);
  execute format('alter table partitions.%I enable row level security', v_name);
  execute format('alter table partitions.%I force row level security', v_name);
  execute format('alter table public.execution_logs attach partition partitions.%I for values from (%L) to (%L)',
                 v_name, v_from, v_to);
  return true;
end
$$;

-- Makes the partitions of this week and the next four; how many were missing. Any host may ask at any time.
create function make_log_weeks() returns integer
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp set lock_timeout = '250ms'
as $$
declare
  v_first date := public.log_week_of(public.engine_now());
  v_week date;
  v_made integer := 0;
begin
  for v_week in
    select v_first + 7 * n from generate_series(0, 4) as n
    except select w from public.log_weeks() as w
  loop
    v_made := v_made + public.make_log_week(v_week)::integer;
  end loop;
  return v_made;
end
$$;

-- What there is already. The owner sees no rows of a table with forced row-level security.
do $$
declare
  v_week date;
begin
  alter table execution_logs_before no force row level security;
  for v_week in
    select distinct log_week_of(to_timestamp(
             ('x' || left(replace(l.execution_id::text, '-', ''), 12))::bit(48)::bigint / 1000.0))
      from execution_logs_before l
     where l.execution_id between first_id_at('2020-01-01Z') and first_id_at(now() + interval '28 days')
  loop
    perform make_log_week(v_week);
  end loop;
  -- And the one before this: a host's clock may be behind when a week ends.
  perform make_log_week(log_week_of(now()) - 7);
  perform make_log_weeks();
end
$$;
insert into execution_logs (
       tenant_id, id, execution_id, plan_id, owner_id, visibility, step_id, iteration, attempt, provider, action,
       version, status, input, output, message, metadata, error, latency_ms, started_at, finished_at, input_blob,
       output_blob)
select tenant_id, id, execution_id, plan_id, owner_id, visibility, step_id, iteration, attempt, provider, action,
       version, status, input, output, message, metadata, error, latency_ms, started_at, finished_at, input_blob,
       output_blob
  from execution_logs_before;
drop table execution_logs_before;

alter table execution_logs enable row level security;
alter table execution_logs force row level security;
create policy execution_logs_read on execution_logs for select to :"app"
  using (tenant_id = (select current_tenant_id())
    and (visibility = 'tenant' or owner_id = (select current_user_id()) or (select current_is_admin())));
create policy execution_logs_update on execution_logs for update to :"app"
  using (tenant_id = (select current_tenant_id())
    and (owner_id = (select current_user_id()) or (select current_is_admin())))
  with check (tenant_id = (select current_tenant_id())
    and (owner_id = (select current_user_id()) or (select current_is_admin())));
create policy execution_logs_insert on execution_logs for insert to :"app"
  with check (tenant_id = (select current_tenant_id())
    and (owner_id = (select current_user_id()) or (select current_is_admin())));
create policy execution_logs_delete on execution_logs for delete to :"app"
  using (tenant_id = (select current_tenant_id()) and (select current_is_admin()));
create policy system_all on execution_logs for all to :"system" using (true) with check (true);
grant select, delete, update (status, error, message, finished_at) on execution_logs to :"app";
grant select, insert, update, delete on execution_logs to :"system";

-- Lists of executions by a status that few have. What is queued or under way stands at the end of all of
-- them, and in indexes of its own.
create index ix_executions_status on executions (tenant_id, status, id) where status not in ('queued', 'running');
-- An execution may go while others tell that they repeat it, or that it ran them.
create index ix_executions_origin on executions (tenant_id, origin_id) where origin_id is not null;
alter table executions
  drop constraint fk_executions_origin,
  drop constraint fk_executions_parent,
  add constraint fk_executions_origin foreign key (tenant_id, origin_id)
    references executions (tenant_id, id) on delete set null (origin_id),
  add constraint fk_executions_parent foreign key (tenant_id, parent_id)
    references executions (tenant_id, id) on delete set null (parent_id);
grant delete on executions to :"system";

alter table tenant_shares
  -- For how long the tenant's executions are kept. Null: for as long as those of others.
  add column log_retention_days integer,
  add constraint ck_tenant_shares_log_retention_days check (log_retention_days between 1 and 36500);

-- As before (see the migration of work), and for how long executions are kept.
drop function set_tenant_share(uuid, integer, integer);
create function set_tenant_share(p_tenant uuid, p_weight integer, p_max_running integer, p_log_retention_days integer)
returns void
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  if not exists (
    select from public.users u
     where u.tenant_id = public.current_tenant_id() and u.id = public.current_user_id() and u.is_operator
  ) then
    raise insufficient_privilege using message = 'only an operator sets the share of a tenant';
  end if;
  insert into public.tenant_shares (tenant_id, weight, max_running, log_retention_days)
    values (p_tenant, p_weight, p_max_running, p_log_retention_days)
    on conflict (tenant_id) do update
      set weight = excluded.weight, max_running = excluded.max_running,
          log_retention_days = excluded.log_retention_days, updated_at = now();
end
$$;

-- Retention. p_days is the operator's setting for tenants that have none of their own; null: for ever.

-- Before when what began has to go, of all tenants; null: some are kept for ever.
create function retention_horizon(p_days integer) returns timestamptz
language plpgsql stable security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  if p_days < 1 then
    raise invalid_parameter_value using message = 'executions are kept for a day at least';
  end if;
  return public.engine_now() - make_interval(hours => 24 * case when p_days is not null then
    greatest(p_days, (select max(s.log_retention_days) from public.tenant_shares s)) end);
end
$$;

-- Until when executions of a tenant have to have ended, to go now; null: they stay. Tenants whose time is
-- the longest wait for the end of the week, since partitions are dropped then.
create function retention_cutoff(p_own_days integer, p_days integer, p_horizon timestamptz) returns timestamptz
language sql stable set search_path = pg_catalog, public, pg_temp
as $$
  select case when c.at > p_horizon or p_horizon is null then c.at
              else public.log_week_of(p_horizon)::timestamp at time zone 'UTC' end
    from (select public.engine_now() - make_interval(hours => 24 * coalesce(p_own_days, p_days)) as at) c
   where c.at is not null
$$;

-- Tenants with executions that have to go.
create function tenants_to_expire(p_days integer) returns setof uuid
language sql stable security definer set search_path = pg_catalog, public, pg_temp
  set plan_cache_mode = force_custom_plan
as $$
  with horizon as materialized (select public.retention_horizon(p_days) as at)
  select t.id
    from public.tenants t
    left join public.tenant_shares s on s.tenant_id = t.id
   cross join horizon h
   cross join lateral (select public.retention_cutoff(s.log_retention_days, p_days, h.at) as cutoff offset 0) c
   where exists (
     select from public.executions e
      where e.tenant_id = t.id and e.id < public.first_id_at(c.cutoff)
        and e.status in ('success', 'error', 'cancelled') and e.finished_at < c.cutoff)
$$;

-- Takes away up to p_limit executions of a tenant after the id p_after, fewer when they have many rows or large
-- values (2 ms a MiB, in a statement that has 15 s): those that have ended, long enough ago. Whatever hasn't ended stays, and so do executions of a step
-- (parent_id) as long as the one that ran them is there: it may read what came of them. Blobs, waits and
-- idempotency keys go along. So do rows of the journal, but for those in a week that is to be dropped.
-- last_id is null when nothing was left.
create function expire_executions(p_tenant uuid, p_days integer, p_after uuid, p_limit integer)
returns table (executions integer, logs integer, last_id uuid)
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
  set plan_cache_mode = force_custom_plan set enable_seqscan = off
as $$
declare
  v_horizon timestamptz := public.retention_horizon(p_days);
  v_cutoff timestamptz := public.retention_cutoff(
    (select s.log_retention_days from public.tenant_shares s where s.tenant_id = p_tenant), p_days, v_horizon);
  v_before uuid := public.first_id_at(v_cutoff);
  v_kept uuid := coalesce(public.first_id_of_week(public.log_week_of(v_horizon)), '00000000-0000-0000-0000-000000000000');
  v_run record;
  v_ids uuid[] := '{}';
  v_rows bigint := 0;
  v_bytes bigint := 0;
begin
  if public.current_tenant_id() is not null then
    raise insufficient_privilege using message = 'retention is a job of hosts, and no request''s';
  end if;
  for v_run in
    select e.id, (select count(*) from public.execution_logs l
                   where l.tenant_id = p_tenant and l.execution_id = e.id and e.id >= v_kept) as rows,
           (select coalesce(sum(b.bytes), 0) from public.execution_blobs b
             where b.tenant_id = p_tenant and b.execution_id = e.id) as bytes
      from public.executions e
     where e.tenant_id = p_tenant and e.id > p_after and e.id < v_before
       and e.status in ('success', 'error', 'cancelled') and e.finished_at < v_cutoff and e.parent_id is null
     order by e.id
     limit p_limit
       for update of e skip locked
  loop
    v_ids := v_ids || v_run.id;
    v_rows := v_rows + v_run.rows;
    v_bytes := v_bytes + v_run.bytes;
    exit when v_rows >= 5000 or v_bytes >= 256 * 1024 * 1024;
  end loop;
  last_id := v_ids[cardinality(v_ids)];
  delete from public.executions e where e.tenant_id = p_tenant and e.id = any (v_ids);
  get diagnostics executions = row_count;
  delete from public.execution_logs l
   where l.tenant_id = p_tenant and l.execution_id = any (v_ids)
     and (l.execution_id >= v_kept or l.tableoid = 'partitions.execution_logs_rest'::regclass);
  get diagnostics logs = row_count;
  return next;
end
$$;

-- Weeks all of which have to go, and whether nothing keeps them: no execution is left that began then.
create function expired_log_weeks(p_days integer) returns table (week date, is_free boolean)
language sql stable security definer set search_path = pg_catalog, public, pg_temp
  set plan_cache_mode = force_custom_plan
as $$
  with horizon as materialized (select public.log_week_of(public.retention_horizon(p_days)) as week)
  select w.week, not exists (
           select from public.tenants t
            where exists (
              select from public.executions e
               where e.tenant_id = t.id and e.id >= public.first_id_of_week(w.week)
                 and e.id < public.first_id_of_week(w.week + 7)))
    from public.log_weeks() as w (week) cross join horizon h
   where w.week < h.week
   order by w.week
$$;

-- Drops a week that has to go and that nothing keeps. Whoever still writes there, of a host whose
-- clock is far behind, waits until that is known; the table itself is locked for the moment of the drop,
-- and when it isn't free at once, this is tried again later: nobody else waits longer than that.
create function drop_log_week(p_week date, p_days integer) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp set lock_timeout = '100ms'
as $$
declare
  v_name text := public.log_week_name(p_week);
begin
  if public.current_tenant_id() is not null then
    raise insufficient_privilege using message = 'retention is a job of hosts, and no request''s';
  end if;
  perform pg_advisory_xact_lock(hashtextextended('partitions of execution_logs', 0));
  if not exists (select from public.log_weeks() as w where w = p_week) then
    return false;
  end if;
  execute format('lock table partitions.%I in share mode', v_name);
  if not exists (select from public.expired_log_weeks(p_days) w where w.week = p_week and w.is_free) then
    return false;
  end if;
  execute format('drop table partitions.%I', v_name);
  return true;
end
$$;

-- Takes away rows of a week that has to go and that something keeps, up to p_limit: those whose execution
-- is gone.
create function sweep_log_week(p_week date, p_days integer, p_limit integer) returns integer
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
  set plan_cache_mode = force_custom_plan
as $$
declare
  v_from uuid := public.first_id_of_week(p_week);
  v_to uuid := public.first_id_of_week(p_week + 7);
  v_count integer;
begin
  if public.current_tenant_id() is not null then
    raise insufficient_privilege using message = 'retention is a job of hosts, and no request''s';
  end if;
  if not exists (select from public.expired_log_weeks(p_days) w where w.week = p_week) then
    return 0;
  end if;
  with orphans as materialized (
    select l.tenant_id, l.execution_id, l.step_id, l.iteration, l.attempt
      from public.execution_logs l
     where l.execution_id >= v_from and l.execution_id < v_to
       and not exists (
         select from public.executions e where e.tenant_id = l.tenant_id and e.id = l.execution_id)
     limit p_limit
  )
  delete from public.execution_logs l
   using orphans o
   where l.tenant_id = o.tenant_id and l.execution_id = o.execution_id and l.step_id = o.step_id
     and l.iteration = o.iteration and l.attempt = o.attempt
     and l.execution_id >= v_from and l.execution_id < v_to;
  get diagnostics v_count = row_count;
  return v_count;
end
$$;

alter function set_tenant_share(uuid, integer, integer, integer) owner to :"system";
alter function retention_horizon(integer) owner to :"system";
alter function tenants_to_expire(integer) owner to :"system";
alter function expire_executions(uuid, integer, uuid, integer) owner to :"system";
alter function expired_log_weeks(integer) owner to :"system";
alter function sweep_log_week(date, integer, integer) owner to :"system";
-- Those that make and drop partitions are the owner's, as the table is; it sees no row of any.
revoke execute on function set_tenant_share(uuid, integer, integer, integer), make_log_week(date), make_log_weeks(),
  retention_horizon(integer), tenants_to_expire(integer), expire_executions(uuid, integer, uuid, integer),
  expired_log_weeks(integer), drop_log_week(date, integer), sweep_log_week(date, integer, integer) from public;
grant execute on function expired_log_weeks(integer) to :"owner";
grant execute on function set_tenant_share(uuid, integer, integer, integer), make_log_weeks(), tenants_to_expire(integer),
  expire_executions(uuid, integer, uuid, integer), expired_log_weeks(integer), drop_log_week(date, integer),
  sweep_log_week(date, integer, integer) to :"app";
