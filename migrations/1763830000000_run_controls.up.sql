-- Pausing runs that are under way, and trying failed ones again.

-- How often a host took it from one that had died, since it was queued last: a run that kills its hosts
-- is given up after a while. The epoch won't do, since pauses and retries raise it as well.
alter table executions add column takeovers integer not null default 0;

-- What a host walks, each second; what was asked to pause, to be found when its host is dead.
create index ix_executions_held on executions (host_id, id) where status = 'running';
create index ix_executions_pausing on executions (host_id) where status = 'running' and pause_requested;

-- A host that was told to stop a run may have heard it before somebody took the request back. Then the
-- run doesn't rest: it is let go of, and whoever claims next walks on.
create function rest_only_on_request() returns trigger
language plpgsql set search_path = pg_catalog, public, pg_temp
as $$
begin
  new.status := 'running';
  return new;
end
$$;
revoke execute on function rest_only_on_request() from public;
create trigger tr_executions_rest before update of status on executions for each row
  when (old.status = 'running' and new.status = 'paused' and not old.pause_requested)
  execute function rest_only_on_request();

-- Says that a host lives, and tells of the runs that it walks: those that are no longer its own (taken
-- over, or cancelled elsewhere), and those that somebody wants to pause. Pauses those whose host died
-- before it could: they aren't taken over. Planned anew each second, since the table grows from nothing.
drop function heartbeat(uuid, uuid[]);
create function heartbeat(p_host uuid, p_executions uuid[])
returns table (execution_id uuid, reason text)
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
  set plan_cache_mode = force_custom_plan
as $$
begin
  insert into public.hosts (id) values (p_host)
    on conflict (id) do update set heartbeat_at = now();
  with unwalked as (
    select e.tenant_id, e.id from public.executions e
     where e.status = 'running' and e.pause_requested and e.host_id is distinct from p_host
       and not exists (
         select from public.hosts h where h.id = e.host_id and h.heartbeat_at > now() - interval '5 seconds')
       for update skip locked
  )
  update public.executions e
     set status = 'paused', host_id = null, pause_requested = false, lease_epoch = e.lease_epoch + 1
    from unwalked u
   where e.tenant_id = u.tenant_id and e.id = u.id;
  return query
    select w.id, case when e.id is null then 'lost' else 'pause' end
      from unnest(p_executions) as w (id)
      left join public.executions e on e.id = w.id and e.host_id = p_host and e.status = 'running'
     where e.id is null or e.pause_requested;
end
$$;
alter function heartbeat(uuid, uuid[]) owner to :"system";
revoke execute on function heartbeat(uuid, uuid[]) from public;
grant execute on function heartbeat(uuid, uuid[]) to :"app";

-- Leases up to p_limit runs to a host, oldest first: queued ones, running ones whose host has died,
-- and its own that it walks no more (p_held are those it does). Raising the epoch fences off whoever
-- held them. What somebody wants to pause is paused instead: here the host's own, by its heartbeat
-- those of the dead. Rows of hosts that died without a run go after an hour.
create or replace function claim_executions(p_host uuid, p_limit integer, p_held uuid[])
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
  with due as (
    select e.tenant_id, e.id from public.executions e
     where e.status = 'queued'
        or (e.status = 'running' and not e.pause_requested and e.host_id = p_host
            and e.id <> all (p_held) and e.started_at < now() - interval '5 seconds')
        or (e.status = 'running' and not e.pause_requested and e.host_id is distinct from p_host
            and not exists (
              select from public.hosts h where h.id = e.host_id and h.heartbeat_at > now() - interval '5 seconds'))
     order by e.created_at
     limit p_limit
     for update skip locked
  )
  update public.executions e
     set status = 'running', host_id = p_host, lease_epoch = e.lease_epoch + 1,
         started_at = coalesce(e.started_at, now()),
         takeovers = case when e.status = 'running' then e.takeovers + 1 else 0 end
    from due
   where e.tenant_id = due.tenant_id and e.id = due.id
  returning e.tenant_id, e.id, e.owner_id, e.lease_epoch;
$$;

-- As before (see the migration of credentials), with one condition more: what is run again is as old as
-- its caller likes, so there the newest version of the plan must still bind the credential, by the same
-- owner. Who took it out of the plan took it from these runs as well.
create or replace function bound_credential(p_execution uuid, p_step text) returns setof credentials
language sql stable security definer set search_path = pg_catalog, public, pg_temp
as $$
  select c.*
    from public.executions e
    join public.plans p on p.tenant_id = e.tenant_id and p.id = e.plan_id
    join public.plan_versions v
      on v.tenant_id = e.tenant_id and v.plan_id = e.plan_id and v.version = e.plan_version
   cross join lateral jsonb_array_elements(v.steps) as s (step)
    join public.credentials c
      on c.tenant_id = e.tenant_id and c.id::text = lower(s.step->>'credential') and c.owner_id = v.created_by
    join public.users u on u.tenant_id = c.tenant_id and u.id = c.owner_id and u.disabled_at is null
   where e.tenant_id = public.current_tenant_id()
     and e.id = p_execution
     and e.owner_id = public.current_user_id()
     and e.status = 'running'
     and e.definition->'steps' = v.steps
     and e.definition->'pins' = v.pins
     and p.deleted_at is null
     and (p.visibility = 'tenant' or p.owner_id = public.current_user_id())
     and s.step->>'id' = p_step
     and ((e.origin_id is null and e.forgiven is null) or exists (
       select from public.plan_versions n cross join lateral jsonb_array_elements(n.steps) as b (step)
        where n.tenant_id = p.tenant_id and n.plan_id = p.id and n.version = p.version
          and n.created_by = c.owner_id and lower(b.step->>'credential') = c.id::text))
$$;
