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

drop index ix_executions_queued;
