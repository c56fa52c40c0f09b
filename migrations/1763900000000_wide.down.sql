-- As before this migration (see the migration of waits).
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
      from public.schedules s
     where s.status in ('active', 'ended')
       and exists (select from public.schedule_fires w
                    where w.tenant_id = s.tenant_id and w.schedule_id = s.id and w.outcome = 'waiting')
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

drop function announce_room(uuid[]);
drop function fire_schedules(jsonb);
drop function schedule_grounds(uuid[], uuid[]);
drop policy system_insert on schedule_fires;
drop policy system_delete on schedule_fires;
drop policy system_update on schedules;
revoke insert, delete on schedule_fires from :"system";
revoke update (next_fire_at, due_at, status) on schedules from :"system";

-- As before this migration (see the migration of work).
create or replace function add_claims(p_tenants uuid[]) returns void
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
create or replace function tend_work(p_host uuid, p_roles text[], p_worker text) returns void
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
update graphile_worker._private_jobs set priority = 0 where priority = 1 and key like 'tenant:%';
alter table executions reset (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold);

drop index ix_executions_plan;
create index ix_executions_plan on executions (tenant_id, plan_id, id);
