drop function find_tenant_share(text), set_tenant_share(uuid, integer, integer), is_scheduler_ticking(), is_worker_alive(),
  say_ticked(uuid), tend_work(uuid, text[], text), take_over_runs(uuid, integer, uuid[]),
  claim_runs(uuid, uuid, integer), pick_within_limits(uuid, integer), blocking_limit(uuid), limit_room(uuid),
  add_work(text, json, text, timestamptz);

create or replace function remove_host(p_host uuid) returns void
language sql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$ delete from public.hosts where id = p_host $$;
drop function free_jobs(text[]);

create function claim_executions(p_host uuid, p_limit integer, p_held uuid[])
returns table (tenant_id uuid, execution_id uuid, owner_id uuid, lease_epoch integer)
language sql volatile security definer set search_path = pg_catalog, public, pg_temp
  set plan_cache_mode = force_custom_plan
as $$
  delete from public.hosts h
   where h.heartbeat_at < now() - interval '1 hour'
     and not exists (select from public.executions e where e.host_id = h.id and e.status = 'running');
  update public.executions e
     set status = 'paused', host_id = null, pause_requested = false, lease_epoch = e.lease_epoch + 1
   where e.status = 'running' and e.pause_requested and e.host_id = p_host and e.id <> all (p_held)
     and e.started_at < now() - interval '5 seconds';
  with recursive orphaned as (
    select e.tenant_id, e.id from public.executions e
     where e.status = 'running' and not e.pause_requested
       and case when e.host_id = p_host
             then e.id <> all (p_held) and e.started_at < now() - interval '5 seconds'
             else not exists (
               select from public.hosts h where h.id = e.host_id and h.heartbeat_at > now() - interval '5 seconds')
           end
     order by e.created_at
     limit p_limit
     for update skip locked
  ), waiting (tenant_id) as (
    -- From one tenant to the next along the index, whatever stands between them.
    (select e.tenant_id from public.executions e where e.status = 'queued' order by e.tenant_id limit 1)
    union all
    select (select e.tenant_id from public.executions e
             where e.status = 'queued' and e.tenant_id > w.tenant_id order by e.tenant_id limit 1)
      from waiting w where w.tenant_id is not null
  ), oldest as (
    select q.tenant_id, q.id, q.created_at,
           row_number() over (partition by w.tenant_id order by q.created_at) as turn
      from waiting w cross join lateral (
        select e.tenant_id, e.id, e.created_at from public.executions e
         where e.tenant_id = w.tenant_id and e.status = 'queued'
         order by e.created_at limit p_limit) q
  ), fair as (
    -- Twice as many as fit: other hosts hold some of them just now.
    select o.tenant_id, o.id, o.turn, o.created_at from oldest o
     order by o.turn, o.created_at limit 2 * p_limit
  ), queued as (
    select e.tenant_id, e.id
      from fair f join public.executions e on e.tenant_id = f.tenant_id and e.id = f.id
     where e.status = 'queued'
     order by f.turn, f.created_at
     limit greatest(p_limit - (select count(*) from orphaned), 0)
     for update of e skip locked
  ), due as (
    select * from orphaned union all select * from queued
  )
  update public.executions e
     set status = 'running', host_id = p_host, lease_epoch = e.lease_epoch + 1,
         started_at = coalesce(e.started_at, now()),
         takeovers = case when e.status = 'running' then e.takeovers + 1 else 0 end
    from due
   where e.tenant_id = due.tenant_id and e.id = due.id
  returning e.tenant_id, e.id, e.owner_id, e.lease_epoch;
$$;
alter function claim_executions(uuid, integer, uuid[]) owner to :"system";
revoke execute on function claim_executions(uuid, integer, uuid[]) from public;
grant execute on function claim_executions(uuid, integer, uuid[]) to :"app";

drop trigger tr_executions_send on executions;
drop trigger tr_executions_send_born on executions;
drop trigger tr_executions_gather on executions;
drop trigger tr_executions_gather_born on executions;
drop function announce_work(uuid[]), send_announcement(), gather_announcement(), add_claims(uuid[]);

create index ix_executions_unfinished on executions (created_at) where status in ('queued', 'running');
drop index ix_executions_running;
drop index ix_executions_demands;
drop trigger tr_executions_demands on executions;
drop trigger tr_executions_demands_born on executions;
drop function note_demands(), run_demands(uuid, jsonb);

drop table tenant_shares;
drop table execution_limits;
alter table executions drop column demand_key, drop column demands;
alter table hosts
  alter column heartbeat_at set default now(),
  drop column doubts_until,
  drop column ticked_at,
  drop column queue_workers,
  drop column roles;
drop function may_judge(uuid), is_recent(timestamptz), engine_now();
