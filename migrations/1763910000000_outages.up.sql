-- As before (see the migration of waits), but a host doubts as soon as it has missed three of its own beats: while the
-- database was away nobody could beat, and the first to come back must not take those for dead whose last beat
-- was a second before its own. With a doubt from five seconds on, an outage of four to five did that.
create or replace function heartbeat(p_host uuid, p_executions uuid[])
returns table (execution_id uuid, reason text)
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
  set plan_cache_mode = force_custom_plan
as $$
begin
  insert into public.hosts as h (id) values (p_host)
    on conflict (id) do update
      set heartbeat_at = public.engine_now(),
          doubts_until = case when h.heartbeat_at between public.engine_now() - interval '3.5 seconds'
                                                      and public.engine_now() + interval '5 seconds'
                              then h.doubts_until
                              else public.engine_now() + interval '4 seconds' end;
  with unwalked as (
    select e.tenant_id, e.id from public.executions e
     where e.status = 'running' and e.pause_requested and e.host_id is distinct from p_host
       and public.may_judge(p_host)
       and not exists (
         select from public.hosts h where h.id = e.host_id and public.is_recent(h.heartbeat_at))
       for update skip locked
  )
  update public.executions e
     set status = 'paused', host_id = null, pause_requested = false, lease_epoch = e.lease_epoch + 1
    from unwalked u
   where e.tenant_id = u.tenant_id and e.id = u.id;
  return query
    select w.id, case when e.id is null then 'lost' when e.pause_requested then 'pause' else 'woken' end
      from unnest(p_executions) as w (id)
      left join public.executions e on e.id = w.id and e.host_id = p_host and e.status = 'running'
     where e.id is null or e.pause_requested or e.wake_requested;
end
$$;
