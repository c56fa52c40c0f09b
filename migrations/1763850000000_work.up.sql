-- Work: which tenants have something to run is told to all hosts through the queue, and hosts take runs
-- one tenant's turn after the other, within the limits that hold over all of them.

-- The clock of the engine: what is due, and who lives, is decided by this database alone.
create function engine_now() returns timestamptz language sql stable parallel safe
  as $$ select now() $$;
alter function engine_now() owner to :"owner";

-- Whether what each host says each second was said just now. A time to come was said before the clock was
-- set back.
create function is_recent(p_at timestamptz) returns boolean language sql stable parallel safe
  as $$ select p_at > public.engine_now() - interval '5 seconds'
           and p_at < public.engine_now() + interval '5 seconds' $$;
alter function is_recent(timestamptz) owner to :"owner";

-- What a host does, under which names it locks jobs, and when it last asked for due schedules.
alter table hosts
  add column roles text[] not null default '{}',
  add column queue_workers text[] not null default '{}',
  add column ticked_at timestamptz,
  -- Until then it takes no run from another: it has not been heard of for a while itself, because it stood
  -- still or the clock was set, and the others may only seem to be dead.
  add column doubts_until timestamptz,
  alter column heartbeat_at set default engine_now();

-- What a queued run counts against, and a short name for that, by which equal ones stand together.
alter table executions
  add column demands text[],
  add column demand_key uuid;

-- How many runs a tenant may have under way at a time that use one thing; set by the tenant.
create table execution_limits (
  tenant_id uuid not null,
  kind text not null,
  -- The id of a plan, the name of a provider, the name or id of a credential as steps write it; of kind
  -- tenant, which counts all runs, always 'all'.
  subject text not null,
  max_running integer not null,
  updated_at timestamptz not null default now(),
  constraint pk_execution_limits primary key (tenant_id, kind, subject),
  constraint fk_execution_limits_tenant foreign key (tenant_id) references tenants (id),
  constraint ck_execution_limits_kind check (kind in ('plan', 'provider', 'credential', 'tenant')),
  constraint ck_execution_limits_subject check (length(subject) between 1 and 200 and (kind <> 'tenant' or subject = 'all')),
  constraint ck_execution_limits_max_running check (max_running between 0 and 1000000)
);

-- The operator's share for a tenant. Without a row: a weight of 10, and no limit.
create table tenant_shares (
  tenant_id uuid constraint pk_tenant_shares primary key,
  -- So many runs begin when it is the tenant's turn.
  weight integer not null,
  -- Null: no limit.
  max_running integer,
  updated_at timestamptz not null default now(),
  constraint fk_tenant_shares_tenant foreign key (tenant_id) references tenants (id),
  constraint ck_tenant_shares_weight check (weight between 1 and 100),
  constraint ck_tenant_shares_max_running check (max_running between 0 and 1000000)
);

alter table execution_limits enable row level security;
alter table execution_limits force row level security;
create policy execution_limits_read on execution_limits for select to :"app"
  using (tenant_id = (select current_tenant_id()));
create policy execution_limits_insert on execution_limits for insert to :"app"
  with check (tenant_id = (select current_tenant_id()) and (select current_is_admin()));
create policy execution_limits_update on execution_limits for update to :"app"
  using (tenant_id = (select current_tenant_id()) and (select current_is_admin()))
  with check (tenant_id = (select current_tenant_id()) and (select current_is_admin()));
create policy execution_limits_delete on execution_limits for delete to :"app"
  using (tenant_id = (select current_tenant_id()) and (select current_is_admin()));
alter table tenant_shares enable row level security;
alter table tenant_shares force row level security;
-- Members read their own; nobody in a tenant writes it: that is the operator's, by set_tenant_share.
create policy tenant_shares_read on tenant_shares for select to :"app"
  using (tenant_id = (select current_tenant_id()));
create policy system_all on execution_limits for select to :"system" using (true);
create policy system_all on tenant_shares for all to :"system" using (true) with check (true);
grant select, insert, update, delete on execution_limits to :"app";
grant select on tenant_shares to :"app";
grant select on execution_limits to :"system";
grant select, insert, update on tenant_shares to :"system";

-- Names what a run counts against, as limits name it.
create function run_demands(p_plan uuid, p_definition jsonb) returns text[]
language sql immutable set search_path = pg_catalog, public, pg_temp
as $$
  select array(
    select 'tenant:all'
    union select 'plan:' || p_plan where p_plan is not null
    union select 'provider:' || (s.step->>'provider')
      from jsonb_array_elements(p_definition->'steps') as s (step) where s.step->>'provider' is not null
    union select 'credential:' || (s.step->>'credential')
      from jsonb_array_elements(p_definition->'steps') as s (step) where s.step->>'credential' is not null
    order by 1)
$$;

-- Only what queues needs it: a run that is born running meets no limit, and pays for none.
create function note_demands() returns trigger
language plpgsql set search_path = pg_catalog, public, pg_temp
as $$
begin
  new.demands := public.run_demands(new.plan_id, new.definition);
  new.demand_key := md5(array_to_string(new.demands, E'\n'))::uuid;
  return new;
end
$$;
revoke execute on function note_demands() from public;
create trigger tr_executions_demands_born before insert on executions for each row
  when (new.status = 'queued') execute function note_demands();
create trigger tr_executions_demands before update of status on executions for each row
  when (new.status = 'queued' and new.demands is null) execute function note_demands();
update executions set status = status where status = 'queued';

create index ix_executions_demands on executions (tenant_id, demand_key, created_at) where status = 'queued';
-- Counted where a limit holds. It takes the place of an index that no statement reads any more.
create index ix_executions_running on executions (tenant_id) where status = 'running';
drop index ix_executions_unfinished;

-- One job for each tenant that has runs to claim: at the end of the line, or where it stands already. A
-- host that takes it claims a turn's worth of the tenant's runs.
--
-- No wake-up may be lost. Whoever queues a run announces in the same transaction, so that there is no
-- one without the other, and then one of these holds for the tenant's job:
--   1. None stands, or it waits: add_jobs inserts or updates the row and keeps it locked until this
--      transaction ends. Hosts pass over locked rows, so the job is taken after the run can be seen.
--   2. A host has it: its claim may have looked before this run can be seen. add_jobs takes the key from
--      that job and inserts another one.
--   3. A host takes it between those two statements of add_jobs: then nothing is inserted, and add_jobs
--      doesn't answer for the tenant. It is asked again, and now finds 2.
--   4. A host completes it meanwhile: the insert waits for the end of the row, and 1 holds.
-- What is left are claims that passed over a run because another transaction held it, which then came
-- to nothing, and hosts that die between a claim and what they would have announced: tend_work looks for
-- those each second.
--
-- Tenants go in one order, so that two announcements never wait for each other; a job that waits keeps
-- its place in the line, however often it is announced.
create function add_claims(p_tenants uuid[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_left uuid[] := array(select distinct t from unnest(p_tenants) as t where t is not null order by t);
begin
  while cardinality(v_left) > 0 loop
    with added as (
      select j.key
        from graphile_worker.add_jobs(
               array(select row('claim_runs', json_build_object('tenant', t), null, null, null, 'tenant:' || t,
                                null, array['claim_runs'])::graphile_worker.job_spec
                       from unnest(v_left) as t),
               true) as j
    )
    select array(select t from unnest(v_left) as t
                  where 'tenant:' || t not in (select a.key from added a where a.key is not null) order by t)
      into v_left;
  end loop;
end
$$;

-- Runs that queue announce themselves, whoever puts them there: a start, a resume, a retry, the end of a
-- wait. Tenants are gathered while the transaction runs and told of once, when it commits: nobody waits
-- for a job that a request holds while its host thinks.
create function gather_announcement() returns trigger
language plpgsql set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_gathered text := coalesce(current_setting('app.announced', true), '');
begin
  if position(new.tenant_id::text in v_gathered) = 0 then
    perform set_config('app.announced', v_gathered || ',' || new.tenant_id, true);
  end if;
  return null;
end
$$;
create function send_announcement() returns trigger
language plpgsql security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_gathered text := coalesce(current_setting('app.announced', true), '');
begin
  -- The first of the transaction speaks for all.
  if v_gathered <> '' then
    perform set_config('app.announced', '', true);
    perform public.add_claims(string_to_array(substr(v_gathered, 2), ',')::uuid[]);
  end if;
  return null;
end
$$;
revoke execute on function gather_announcement(), send_announcement() from public;
create trigger tr_executions_gather_born after insert on executions for each row
  when (new.status = 'queued') execute function gather_announcement();
create trigger tr_executions_gather after update of status on executions for each row
  when (new.status = 'queued' and old.status <> 'queued') execute function gather_announcement();
create constraint trigger tr_executions_send_born after insert on executions
  deferrable initially deferred for each row
  when (new.status = 'queued') execute function send_announcement();
create constraint trigger tr_executions_send after update of status on executions
  deferrable initially deferred for each row
  when (new.status = 'queued' and old.status <> 'queued') execute function send_announcement();

-- Tells the hosts that these tenants have runs to claim, in one go. In a transaction of somebody's nothing
-- has to be said: what queues there is told of when it commits.
create function announce_work(p_tenants uuid[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_gathered text[] := string_to_array(substr(coalesce(current_setting('app.announced', true), ''), 2), ',');
begin
  if public.current_tenant_id() is not null then
    return;
  end if;
  perform public.add_claims(p_tenants);
  if cardinality(v_gathered) > 0 then
    perform set_config('app.announced', coalesce((
      select string_agg(',' || t, '') from unnest(v_gathered) as t where t <> all (p_tenants::text[])), ''), true);
  end if;
end
$$;

-- Other work of the hosts. What has the key of work that waits takes its place.
create function add_work(p_task text, p_payload json, p_key text, p_run_at timestamptz) returns void
language sql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
  select graphile_worker.add_job(
    identifier => p_task, payload => p_payload, run_at => p_run_at, job_key => p_task || ':' || p_key,
    flags => array[p_task])
$$;

-- How many more runs of a tenant each of its limits lets begin: { "provider:slack": 3 }.
create function limit_room(p_tenant uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, public, pg_temp
as $$
  with limits (demand, max_running) as (
    select l.demand, min(l.max_running)
      from (select x.kind || ':' || x.subject, x.max_running from public.execution_limits x
             where x.tenant_id = p_tenant
            union all
            select 'tenant:all', s.max_running from public.tenant_shares s
             where s.tenant_id = p_tenant and s.max_running is not null) as l (demand, max_running)
     group by l.demand
  ), used as (
    select d.demand, count(*) as runs
      from public.executions e
     -- Null: born running, before there was a limit.
     cross join lateral unnest(coalesce(e.demands, public.run_demands(e.plan_id, e.definition))) as d (demand)
     where e.tenant_id = p_tenant and e.status = 'running' and exists (select from limits)
     group by d.demand
  )
  select coalesce(jsonb_object_agg(l.demand, l.max_running - coalesce(u.runs, 0)), '{}')
    from limits l left join used u using (demand)
$$;

-- What keeps a queued run of the caller's tenant waiting; null: no limit does.
create function blocking_limit(p_execution uuid) returns text
language sql stable security definer set search_path = pg_catalog, public, pg_temp
as $$
  select d.demand
    from public.executions e
   cross join lateral unnest(e.demands) as d (demand)
   cross join (select public.limit_room(public.current_tenant_id()) as room) r
   where e.tenant_id = public.current_tenant_id() and e.id = p_execution and e.status = 'queued'
     and (r.room->>d.demand)::int <= 0
   limit 1
$$;

-- The oldest runs of a tenant that its limits let begin now. Under the lock of claim_runs.
-- Runs that count against the same things stand together: where a limit is reached, a million of them are
-- passed over in one step.
create function pick_within_limits(p_tenant uuid, p_limit integer) returns uuid[]
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
  set plan_cache_mode = force_custom_plan
as $$
declare
  v_room jsonb := public.limit_room(p_tenant);
  v_picked uuid[] := '{}';
  v_run record;
begin
  for v_run in
    with recursive alike as (
      (select e.demand_key, e.demands from public.executions e
        where e.tenant_id = p_tenant and e.status = 'queued' order by e.demand_key limit 1)
      union all
      select n.demand_key, n.demands
        from alike a cross join lateral (
          select e.demand_key, e.demands from public.executions e
           where e.tenant_id = p_tenant and e.status = 'queued' and e.demand_key > a.demand_key
           order by e.demand_key limit 1) n
    ), open as (
      select a.demand_key, a.demands from alike a
       where not exists (select from unnest(a.demands) as d where (v_room->>d)::int <= 0)
    )
    select q.id, o.demands
      from open o cross join lateral (
        select e.id, e.created_at from public.executions e
         where e.tenant_id = p_tenant and e.status = 'queued' and e.demand_key = o.demand_key
         -- Twice as many as fit: some of them are held just now.
         order by e.created_at limit 2 * p_limit) q
     order by q.created_at
  loop
    exit when cardinality(v_picked) >= p_limit;
    continue when exists (select from unnest(v_run.demands) as d where (v_room->>d)::int <= 0);
    perform from public.executions e
      where e.tenant_id = p_tenant and e.id = v_run.id and e.status = 'queued'
        for update skip locked;
    continue when not found;
    v_picked := v_picked || v_run.id;
    v_room := (select coalesce(jsonb_object_agg(r.key, r.value::int - (r.key = any (v_run.demands))::int), '{}')
                 from jsonb_each_text(v_room) as r);
  end loop;
  return v_picked;
end
$$;

-- A tenant's turn: leases its oldest queued runs to a host, as many as the tenant's weight says, at most
-- p_places, and within its limits. Where there may be more of them, the tenant goes to the end of the line.
-- Limits hold over all hosts: claims of a tenant that has some come one after the other, and each
-- sees what those before it began. Raising the epoch fences off whoever held a run.
create function claim_runs(p_host uuid, p_tenant uuid, p_places integer)
returns table (tenant_id uuid, execution_id uuid, owner_id uuid, lease_epoch integer, is_limited boolean)
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
  set plan_cache_mode = force_custom_plan
as $$
declare
  v_turn integer;
  v_is_limited boolean;
  v_picked uuid[];
begin
  select least(p_places, coalesce(s.weight, 10)),
         s.max_running is not null
           or exists (select from public.execution_limits l where l.tenant_id = p_tenant)
    into v_turn, v_is_limited
    from (select p_tenant as id) t left join public.tenant_shares s on s.tenant_id = t.id;
  if v_is_limited then
    perform pg_advisory_xact_lock(hashtextextended('limits of ' || p_tenant, 0));
    v_picked := public.pick_within_limits(p_tenant, v_turn);
  else
    v_picked := array(
      select e.id from public.executions e
       where e.tenant_id = p_tenant and e.status = 'queued'
       order by e.created_at limit v_turn
         for update skip locked);
  end if;
  if cardinality(v_picked) >= v_turn then
    perform public.announce_work(array[p_tenant]);
  end if;
  return query
    update public.executions e
       set status = 'running', host_id = p_host, lease_epoch = e.lease_epoch + 1,
           started_at = coalesce(e.started_at, now()), takeovers = 0
     where e.tenant_id = p_tenant and e.id = any (v_picked)
    returning e.tenant_id, e.id, e.owner_id, e.lease_epoch, v_is_limited;
end
$$;

-- Whether a host can tell the dead from the living: see doubts_until.
create function may_judge(p_host uuid) returns boolean
language sql stable set search_path = pg_catalog, public, pg_temp
as $$
  select exists (
    select from public.hosts h
     where h.id = p_host and public.is_recent(h.heartbeat_at)
       and not coalesce(public.is_recent(h.doubts_until) and h.doubts_until > public.engine_now(), false))
$$;

-- Leases to a host up to p_limit runs, the oldest first, whose host has died, that were let go of, or that
-- are its own and that it walks no more (p_held are those it does; null: it can't say just now, and they
-- are left alone). What somebody wants to pause is paused instead: here the host's own, by its heartbeat
-- those of the dead. They ran already, so no limit keeps them. Rows of hosts that died without a run go
-- after an hour.
drop function claim_executions(uuid, integer, uuid[]);
create function take_over_runs(p_host uuid, p_limit integer, p_held uuid[])
returns table (tenant_id uuid, execution_id uuid, owner_id uuid, lease_epoch integer)
language sql volatile security definer set search_path = pg_catalog, public, pg_temp
  set plan_cache_mode = force_custom_plan
as $$
  delete from public.hosts h
   where h.heartbeat_at < public.engine_now() - interval '1 hour' and public.may_judge(p_host)
     and not exists (select from public.executions e where e.host_id = h.id and e.status = 'running');
  update public.executions e
     set status = 'paused', host_id = null, pause_requested = false, lease_epoch = e.lease_epoch + 1
   where e.status = 'running' and e.pause_requested and e.host_id = p_host and e.id <> all (p_held)
     and e.started_at not between now() - interval '5 seconds' and now() + interval '5 seconds';
  with recursive holders (host_id) as (
    -- From one host to the next along the index, however many runs each holds.
    (select e.host_id from public.executions e where e.status = 'running' order by e.host_id limit 1)
    union all
    select (select e.host_id from public.executions e
             where e.status = 'running' and e.host_id > h.host_id order by e.host_id limit 1)
      from holders h where h.host_id is not null
  ), dead as (
    select d.host_id from holders d
     where d.host_id <> p_host and (select public.may_judge(p_host))
       and not exists (
         select from public.hosts h where h.id = d.host_id and public.is_recent(h.heartbeat_at))
  ), due as (
    select e.tenant_id, e.id from public.executions e
     where e.status = 'running' and not e.pause_requested
       and (e.host_id is null
            or (e.host_id = any (array(select d.host_id from dead d) || p_host)
                and (e.host_id <> p_host
                     or (e.id <> all (p_held)
                         and e.started_at not between now() - interval '5 seconds' and now() + interval '5 seconds'))))
     order by e.created_at
     limit p_limit
     for update skip locked
  )
  update public.executions e
     set host_id = p_host, lease_epoch = e.lease_epoch + 1, takeovers = e.takeovers + 1
    from due
   where e.tenant_id = due.tenant_id and e.id = due.id
  returning e.tenant_id, e.id, e.owner_id, e.lease_epoch;
$$;

-- What each host says of itself each second, and what those that work look after: jobs that a dead host
-- had taken are free again, and tenants whose runs wait while no job tells of them are announced. A tenant
-- whose limits are reached is among those, which is how they are noticed to be free again at
-- the latest.
create function tend_work(p_host uuid, p_roles text[], p_worker text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
  set plan_cache_mode = force_custom_plan
as $$
declare
  v_dead text[];
begin
  insert into public.hosts as h (id, roles, queue_workers)
    values (p_host, p_roles, array_remove(array[p_worker], null))
    on conflict (id) do update
      set roles = excluded.roles,
          queue_workers = case when h.queue_workers @> excluded.queue_workers then h.queue_workers
                               else h.queue_workers || excluded.queue_workers end
      where h.roles <> excluded.roles or not h.queue_workers @> excluded.queue_workers;
  if not 'worker' = any (p_roles) then
    return;
  end if;

  with dead as (
    select h.id, h.queue_workers from public.hosts h
     where h.id <> p_host and not public.is_recent(h.heartbeat_at) and h.queue_workers <> '{}'
       and public.may_judge(p_host)
       for update skip locked
  ), told as (
    update public.hosts h set queue_workers = '{}' from dead d where h.id = d.id
  )
  select array_agg(w) into v_dead from dead d cross join lateral unnest(d.queue_workers) as w;
  if v_dead is not null then
    perform public.free_jobs(v_dead);
  end if;

  -- Turns are taken now or not at all: one for a time to come was announced before the clock was set back.
  update graphile_worker._private_jobs j
     set run_at = now()
   where j.id in (
     select l.id from graphile_worker._private_jobs l
      where l.is_available and l.priority = 0 and l.run_at > now() + interval '5 seconds'
        and l.key like 'tenant:%'
        and l.task_id = (select t.id from graphile_worker._private_tasks t where t.identifier = 'claim_runs')
        for update skip locked);

  perform public.announce_work(array(
    with recursive waiting (tenant_id) as (
      -- From one tenant to the next along the index, whatever stands between them.
      (select e.tenant_id from public.executions e where e.status = 'queued' order by e.tenant_id limit 1)
      union all
      select (select e.tenant_id from public.executions e
               where e.status = 'queued' and e.tenant_id > w.tenant_id order by e.tenant_id limit 1)
        from waiting w where w.tenant_id is not null
    )
    select w.tenant_id from waiting w
     where (select min(e.created_at) from public.executions e
             where e.tenant_id = w.tenant_id and e.status = 'queued')
             not between now() - interval '2 seconds' and now() + interval '2 seconds'
       and not exists (select from graphile_worker._private_jobs j
                        where j.key = 'tenant:' || w.tenant_id and j.is_available)));
end
$$;

-- Frees the jobs that these names had locked. One whose key went to a newer job (add_jobs leaves it no
-- attempt) is of no use any more, and nobody would take it.
create function free_jobs(p_workers text[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  delete from graphile_worker._private_jobs j
   where j.locked_by = any (p_workers) and j.key is null and j.attempts >= j.max_attempts;
  perform graphile_worker.force_unlock_workers(p_workers);
end
$$;

-- A host that stops leaves nothing locked.
create or replace function remove_host(p_host uuid) returns void
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_workers text[];
begin
  delete from public.hosts where id = p_host returning queue_workers into v_workers;
  if cardinality(v_workers) > 0 then
    perform public.free_jobs(v_workers);
  end if;
end
$$;

-- A host has asked for due schedules, and been told.
create function say_ticked(p_host uuid) returns void
language sql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
  -- Its row is made by its heartbeat, and gone when it stops.
  update public.hosts set ticked_at = public.engine_now() where id = p_host
$$;

-- Whether some live host that is there for it fires schedules.
create function is_scheduler_ticking() returns boolean
language sql stable security definer set search_path = pg_catalog, public, pg_temp
as $$
  select exists (
    select from public.hosts h
     where 'scheduler' = any (h.roles) and public.is_recent(h.heartbeat_at)
       and public.is_recent(h.ticked_at))
$$;

-- Whether some live host walks executions.
create function is_worker_alive() returns boolean
language sql stable security definer set search_path = pg_catalog, public, pg_temp
as $$
  select exists (
    select from public.hosts h where 'worker' = any (h.roles) and public.is_recent(h.heartbeat_at))
$$;

-- The share of any tenant, found by id or name, for an operator; nobody else is shown a row.
-- `share` is null while none was made.
create function find_tenant_share(p_tenant text)
returns table (tenant_id uuid, tenant_name text, share jsonb)
language sql stable security definer set search_path = pg_catalog, public, pg_temp
as $$
  select t.id, t.name, to_jsonb(s)
    from public.tenants t left join public.tenant_shares s on s.tenant_id = t.id
   where (t.id::text = lower(p_tenant) or t.name = p_tenant)
     and exists (
       select from public.users u
        where u.tenant_id = public.current_tenant_id() and u.id = public.current_user_id() and u.is_operator)
   -- A tenant may be named like another's id.
   order by t.id::text = lower(p_tenant) desc
   limit 1
$$;

-- Replaces a tenant's share; only for an operator.
create function set_tenant_share(p_tenant uuid, p_weight integer, p_max_running integer) returns void
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  if not exists (
    select from public.users u
     where u.tenant_id = public.current_tenant_id() and u.id = public.current_user_id() and u.is_operator
  ) then
    raise insufficient_privilege using message = 'only an operator sets the share of a tenant';
  end if;
  insert into public.tenant_shares (tenant_id, weight, max_running) values (p_tenant, p_weight, p_max_running)
    on conflict (tenant_id) do update
      set weight = excluded.weight, max_running = excluded.max_running, updated_at = now();
end
$$;

alter function add_claims(uuid[]) owner to :"system";
alter function send_announcement() owner to :"system";
alter function announce_work(uuid[]) owner to :"system";
alter function add_work(text, json, text, timestamptz) owner to :"system";
alter function limit_room(uuid) owner to :"system";
alter function blocking_limit(uuid) owner to :"system";
alter function pick_within_limits(uuid, integer) owner to :"system";
alter function claim_runs(uuid, uuid, integer) owner to :"system";
alter function may_judge(uuid) owner to :"system";
alter function take_over_runs(uuid, integer, uuid[]) owner to :"system";
alter function tend_work(uuid, text[], text) owner to :"system";
alter function free_jobs(text[]) owner to :"system";
alter function say_ticked(uuid) owner to :"system";
alter function is_scheduler_ticking() owner to :"system";
alter function is_worker_alive() owner to :"system";
alter function find_tenant_share(text) owner to :"system";
alter function set_tenant_share(uuid, integer, integer) owner to :"system";
revoke execute on function add_claims(uuid[]), announce_work(uuid[]), add_work(text, json, text, timestamptz), limit_room(uuid),
  blocking_limit(uuid), pick_within_limits(uuid, integer), claim_runs(uuid, uuid, integer), may_judge(uuid), take_over_runs(uuid, integer, uuid[]),
  tend_work(uuid, text[], text), free_jobs(text[]), say_ticked(uuid), is_scheduler_ticking(), is_worker_alive(),
  find_tenant_share(text), set_tenant_share(uuid, integer, integer) from public;
grant execute on function announce_work(uuid[]), add_work(text, json, text, timestamptz),
  claim_runs(uuid, uuid, integer), take_over_runs(uuid, integer, uuid[]), tend_work(uuid, text[], text),
  free_jobs(text[]), blocking_limit(uuid), say_ticked(uuid), is_scheduler_ticking(), is_worker_alive(), find_tenant_share(text),
  set_tenant_share(uuid, integer, integer) to :"app";
