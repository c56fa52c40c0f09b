-- Many tenants and many things: schedules that come due together fire together, and tenants that are new in
-- the line of turns don't wait for a round of all others.

-- As before (see the migration of waits). Times that wait are few: they lead to their schedules, and not all
-- schedules to those of theirs that wait.
create or replace function due_schedules(p_limit integer)
returns table (tenant_id uuid, schedule_id uuid, owner_id uuid, owner_role text)
language sql stable security definer set search_path = pg_catalog, public, pg_temp
as $$
  with due as (
    select s.tenant_id, s.id, s.owner_id, s.due_at
      from public.schedules s
     where s.status = 'active' and s.due_at <= public.engine_now()
    union
    select s.tenant_id, s.id, s.owner_id, s.due_at
      from (select distinct f.tenant_id, f.schedule_id from public.schedule_fires f where f.outcome = 'waiting') w
      join public.schedules s on s.tenant_id = w.tenant_id and s.id = w.schedule_id
     where s.status in ('active', 'ended')
       and not exists (
         select from public.schedule_fires f
           join public.executions e on e.tenant_id = f.tenant_id and e.id = f.execution_id
          where f.tenant_id = s.tenant_id and f.schedule_id = s.id
            and e.status not in ('success', 'error', 'cancelled'))
  )
  select d.tenant_id, d.id, d.owner_id, u.role
    from due d join public.users u on u.tenant_id = d.tenant_id and u.id = d.owner_id
   order by row_number() over (partition by d.tenant_id order by d.due_at, d.id), d.due_at
   limit p_limit
$$;

-- What decides whether these schedules may fire and when they do next. `as_of` names the rows that
-- it was read from: whoever changes one of them makes another of it. `is_free`: no time before waits, and no run
-- that would have to end first goes on.
create function schedule_grounds(p_tenants uuid[], p_schedules uuid[])
returns table (tenant_id uuid, schedule_id uuid, now timestamptz, is_free boolean, as_of text, cron text,
               every_seconds integer, at timestamptz, timezone text, anchor_at timestamptz, starts_at timestamptz,
               ends_at timestamptz, catch_up text, catch_up_seconds integer, jitter_seconds integer,
               next_fire_at timestamptz, due_at timestamptz, owner_id uuid, enabled_version integer, owner_role text,
               is_operator boolean, disabled_at timestamptz, plan_owner_id uuid, plan_name text, visibility text,
               deleted_at timestamptz, version integer, created_by uuid, author_is_admin boolean)
language sql stable security definer set search_path = pg_catalog, public, pg_temp
  set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
  select s.tenant_id, s.id, date_trunc('milliseconds', public.engine_now()),
         s.status = 'active' and s.due_at <= public.engine_now()
           and not exists (
             select from public.schedule_fires f
              where f.tenant_id = s.tenant_id and f.schedule_id = s.id and f.outcome = 'waiting')
           and (s.overlap = 'allow' or not exists (
             select from public.schedule_fires f
               join public.executions e on e.tenant_id = f.tenant_id and e.id = f.execution_id
              where f.tenant_id = s.tenant_id and f.schedule_id = s.id
                and e.status not in ('success', 'error', 'cancelled')))
           -- A clock that was set back brings times again.
           and not exists (
             select from public.schedule_fires f
              where f.tenant_id = s.tenant_id and f.schedule_id = s.id and f.nominal_at >= s.next_fire_at),
         concat_ws(':', s.xmin, u.xmin, p.xmin, a.xmin), s.cron, s.every_seconds, s.at, s.timezone, s.anchor_at,
         s.starts_at, s.ends_at, s.catch_up, s.catch_up_seconds, s.jitter_seconds, s.next_fire_at, s.due_at,
         s.owner_id, s.plan_version, u.role, u.is_operator, u.disabled_at, p.owner_id, p.name, p.visibility,
         p.deleted_at, v.version, v.created_by, coalesce(a.role = 'admin' and a.disabled_at is null, false)
    from unnest(p_tenants, p_schedules) as asked (tenant_id, id)
    join public.schedules s on s.tenant_id = asked.tenant_id and s.id = asked.id
    join public.users u on u.tenant_id = s.tenant_id and u.id = s.owner_id
    -- Where its run-as user sees it.
    left join public.plans p on p.tenant_id = s.tenant_id and p.id = s.plan_id
      and (p.visibility = 'tenant' or p.owner_id = s.owner_id or u.role = 'admin')
    left join public.plan_versions v on v.tenant_id = p.tenant_id and v.plan_id = p.id and v.version = p.version
    left join public.users a on a.tenant_id = v.tenant_id and a.id = v.created_by
   -- Hosts ask for all tenants, and no request does.
   where public.current_tenant_id() is null
$$;

-- Fires schedules, one time of each, in one transaction: their runs, the rows of their fires and their next
-- times, all of it or nothing. Passed over are those that somebody else has, or that have changed since
-- their grounds were told. `fire_at` is the time that they fire for, and the one that they stand at.
create function fire_schedules(p_fires jsonb)
returns table (tenant_id uuid, schedule_id uuid)
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
  set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
  set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
  v_tenants uuid[];
  v_schedules uuid[];
  v_fires jsonb;
  v_runs jsonb;
begin
  if public.current_tenant_id() is not null then
    raise insufficient_privilege using message = 'schedules are fired by hosts, and by no request';
  end if;
  select array_agg(l.tenant_id), array_agg(l.id) into v_tenants, v_schedules
    from (
      select s.tenant_id, s.id
        from jsonb_to_recordset(p_fires) as a(tenant_id uuid, schedule_id uuid, fire_at timestamptz)
        join public.schedules s on s.tenant_id = a.tenant_id and s.id = a.schedule_id
       where s.status = 'active' and s.next_fire_at = a.fire_at
         for no key update of s skip locked) l;
  if v_tenants is null then
    return;
  end if;

  -- A statement of its own: it sees what was committed before the locks were had.
  select jsonb_agg(to_jsonb(a)),
         jsonb_agg(jsonb_build_object(
           'tenant_id', s.tenant_id, 'id', a.execution_id, 'plan_id', s.plan_id, 'plan_version', g.version,
           'definition', jsonb_build_object('steps', v.steps, 'pins', v.pins), 'owner_id', s.owner_id,
           'visibility', g.visibility, 'trigger', 'schedule', 'input', s.input, 'entries', '[]'::jsonb))
    into v_fires, v_runs
    from jsonb_to_recordset(p_fires) as a(
           tenant_id uuid, schedule_id uuid, fire_at timestamptz, as_of text, execution_id uuid,
           next_fire_at timestamptz, due_at timestamptz)
    join public.schedule_grounds(v_tenants, v_schedules) g
      on g.tenant_id = a.tenant_id and g.schedule_id = a.schedule_id and g.as_of = a.as_of and g.is_free
    join public.schedules s on s.tenant_id = a.tenant_id and s.id = a.schedule_id
    join public.plan_versions v on v.tenant_id = s.tenant_id and v.plan_id = s.plan_id and v.version = g.version;
  if v_fires is null then
    return;
  end if;

  perform from public.accept_runs(v_runs) r where r.state <> 'new';
  if found then
    raise exception 'runs of schedules were not stored';
  end if;
  insert into public.schedule_fires (tenant_id, schedule_id, nominal_at, outcome, execution_id)
    select f.tenant_id, f.schedule_id, f.fire_at, 'started', f.execution_id
      from jsonb_to_recordset(v_fires) as f(tenant_id uuid, schedule_id uuid, fire_at timestamptz, execution_id uuid);
  update public.schedules s
     set next_fire_at = f.next_fire_at, due_at = f.due_at,
         status = case when f.next_fire_at is null then 'ended' else 'active' end
    from jsonb_to_recordset(v_fires) as f(
           tenant_id uuid, schedule_id uuid, next_fire_at timestamptz, due_at timestamptz)
   where s.tenant_id = f.tenant_id and s.id = f.schedule_id;
  -- The newest hundred stay, and those whose runs go on.
  delete from public.schedule_fires o
   using jsonb_to_recordset(v_fires) as f(tenant_id uuid, schedule_id uuid)
   where o.tenant_id = f.tenant_id and o.schedule_id = f.schedule_id and o.outcome <> 'waiting'
     and o.nominal_at < (select k.nominal_at from public.schedule_fires k
                          where k.tenant_id = f.tenant_id and k.schedule_id = f.schedule_id
                          order by k.nominal_at desc offset 99 limit 1)
     and not exists (select from public.executions e
                      where e.tenant_id = o.tenant_id and e.id = o.execution_id
                        and e.status not in ('success', 'error', 'cancelled'));
  return query
    select f.tenant_id, f.schedule_id from jsonb_to_recordset(v_fires) as f(tenant_id uuid, schedule_id uuid);
end
$$;

create policy system_insert on schedule_fires for insert to :"system" with check (true);
create policy system_delete on schedule_fires for delete to :"system" using (true);
create policy system_update on schedules for update to :"system" using (true) with check (true);
grant insert, delete on schedule_fires to :"system";
grant update (next_fire_at, due_at, status) on schedules to :"system";

alter function schedule_grounds(uuid[], uuid[]) owner to :"system";
alter function fire_schedules(jsonb) owner to :"system";
revoke execute on function schedule_grounds(uuid[], uuid[]), fire_schedules(jsonb) from public;
grant execute on function schedule_grounds(uuid[], uuid[]), fire_schedules(jsonb) to :"app";

-- As before (see the migration of work), in two lines. Who has runs that wait for longer than a second has had
-- a turn, or will have one in a round of all that are in this line, which takes as long as there are tenants.
-- Whoever comes with a few runs isn't among them, and goes first. A job keeps its place in the first line.
create or replace function add_claims(p_tenants uuid[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
  set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_bitmapscan = off
as $$
declare
  v_left uuid[] := array(select distinct t from unnest(p_tenants) as t where t is not null order by t);
begin
  while cardinality(v_left) > 0 loop
    with added as (
      select j.key
        from graphile_worker.add_jobs(
               array(select row('claim_runs', json_build_object('tenant', t), null, null, null, 'tenant:' || t,
                                case when (select e.created_at from public.executions e
                                            where e.tenant_id = t and e.status = 'queued'
                                            order by e.created_at limit 1) < now() - interval '1 second'
                                      and (select j.is_available and j.priority = 0
                                             from graphile_worker._private_jobs j
                                            where j.key = 'tenant:' || t) is not true
                                     then 1 else 0 end,
                                array['claim_runs'])::graphile_worker.job_spec
                       from unnest(v_left) as t),
               true) as j
    )
    select array(select t from unnest(v_left) as t
                  where 'tenant:' || t not in (select a.key from added a where a.key is not null) order by t)
      into v_left;
  end loop;
end
$$;

-- A run of these tenants has ended, which counted against a limit. Where none is queued nobody waits for its place,
-- and a turn would cost as much as the run: what queues later announces itself.
create function announce_room(p_tenants uuid[]) returns void
language sql volatile security definer set search_path = pg_catalog, public, pg_temp set enable_seqscan = off
as $$
  select public.announce_work(array(
    select t from unnest(p_tenants) as t
     where exists (select from public.executions e where e.tenant_id = t and e.status = 'queued')))
$$;
alter function announce_room(uuid[]) owner to :"system";
revoke execute on function announce_room(uuid[]) from public;
grant execute on function announce_room(uuid[]) to :"app";

-- As before (see the migration of work), and each second those that have waited longest in the second line go
-- to the first. Its work is bounded, and keeps no heartbeat waiting, however many tenants there are.
create or replace function tend_work(p_host uuid, p_roles text[], p_worker text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
  -- From one tenant to the next along an index, whatever was known of the tables when nothing was queued.
  set plan_cache_mode = force_custom_plan set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off
as $$
declare
  v_dead text[];
begin
  -- Only where there is something to tell: the row stays locked until the end, and the host's own heartbeat
  -- would wait for it.
  if not exists (select from public.hosts h
                  where h.id = p_host and h.roles = p_roles
                    and h.queue_workers @> array_remove(array[p_worker], null)) then
    insert into public.hosts as h (id, roles, queue_workers)
      values (p_host, p_roles, array_remove(array[p_worker], null))
      on conflict (id) do update
        set roles = excluded.roles,
            queue_workers = case when h.queue_workers @> excluded.queue_workers then h.queue_workers
                                 else h.queue_workers || excluded.queue_workers end
        where h.roles <> excluded.roles or not h.queue_workers @> excluded.queue_workers;
  end if;
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
   where j.id = any (array(
     select l.id from graphile_worker._private_jobs l
      where l.is_available and l.priority in (0, 1) and l.run_at > now() + interval '5 seconds'
        and l.key like 'tenant:%'
        and l.task_id = (select t.id from graphile_worker._private_tasks t where t.identifier = 'claim_runs')
        for update skip locked));

  -- However many new ones come, the others go on.
  update graphile_worker._private_jobs j
     set priority = 0
   where j.id = any (array(
     select l.id from graphile_worker._private_jobs l
      where l.is_available and l.priority = 1 and l.run_at < now() - interval '2 seconds'
        and l.key like 'tenant:%'
        and l.task_id = (select t.id from graphile_worker._private_tasks t where t.identifier = 'claim_runs')
      order by l.run_at limit 10
        for update skip locked));

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
       -- Looked up by its key, one by one: as a join, all jobs were read for each of the tenants, and with
       -- six thousand of both that took twelve seconds.
       and (select j.is_available from graphile_worker._private_jobs j
             where j.key = 'tenant:' || w.tenant_id) is not true
     limit 2000));
end
$$;

-- What was claimed leaves dead entries at the front of the queue's index: fifty thousand of them made a claim
-- three times as dear. By default a fifth of the table gathers first, which is a million where executions are
-- kept for months.
alter table executions set (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 10000);

-- With the tenant second: in a young database, of which nothing is known, a plan that is kept may take any index
-- that begins with the tenant for the primary key, and read all of the tenant's rows for each.
drop index ix_executions_plan;
create index ix_executions_plan on executions (plan_id, tenant_id, id);
