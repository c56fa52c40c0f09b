drop trigger tr_executions_rest on executions;
drop function rest_only_on_request();
drop index ix_executions_pausing;
drop index ix_executions_held;

drop function heartbeat(uuid, uuid[]);
create function heartbeat(p_host uuid, p_executions uuid[]) returns setof uuid
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  insert into public.hosts (id) values (p_host)
    on conflict (id) do update set heartbeat_at = now();
  return query
    select e.id from public.executions e
     where e.id = any (p_executions) and (e.host_id is distinct from p_host or e.status <> 'running');
end
$$;
alter function heartbeat(uuid, uuid[]) owner to :"system";
revoke execute on function heartbeat(uuid, uuid[]) from public;
grant execute on function heartbeat(uuid, uuid[]) to :"app";

create or replace function claim_executions(p_host uuid, p_limit integer, p_held uuid[])
returns table (tenant_id uuid, execution_id uuid, owner_id uuid, lease_epoch integer)
language sql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
  delete from public.hosts h
   where h.heartbeat_at < now() - interval '1 hour'
     and not exists (select from public.executions e where e.host_id = h.id and e.status = 'running');
  with due as (
    select e.tenant_id, e.id from public.executions e
     where e.status = 'queued'
        or (e.status = 'running' and e.host_id = p_host and e.id <> all (p_held)
            and e.started_at < now() - interval '5 seconds')
        or (e.status = 'running' and e.host_id is distinct from p_host and not exists (
              select from public.hosts h where h.id = e.host_id and h.heartbeat_at > now() - interval '5 seconds'))
     order by e.created_at
     limit p_limit
     for update skip locked
  )
  update public.executions e
     set status = 'running', host_id = p_host, lease_epoch = e.lease_epoch + 1,
         started_at = coalesce(e.started_at, now())
    from due
   where e.tenant_id = due.tenant_id and e.id = due.id
  returning e.tenant_id, e.id, e.owner_id, e.lease_epoch;
$$;

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
$$;
alter table executions drop column takeovers;
