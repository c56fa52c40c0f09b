drop trigger tr_executions_end_waits on executions;
drop function end_waits();
drop function wake_executions(integer);
drop function tell_parents(uuid[], uuid[]);
drop function settle_waits(uuid, uuid, uuid, integer, text[], integer[]);
drop function resolve_wait(uuid, uuid, text, integer, text, uuid, jsonb, uuid);

-- As they were before.
create or replace function heartbeat(p_host uuid, p_executions uuid[])
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

create or replace function flush_runs(p_accepts jsonb, p_writes jsonb)
returns table (kind text, place bigint, state text, run_id uuid, run_hash text, run_started_at timestamptz)
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp set enable_seqscan = off set jit = off
as $$
begin
  -- The committer speaks for all tenants and sets nobody. Inside somebody's transaction only that one's
  -- runs are taken: what a request can say in SQL begins nothing in another's name.
  if public.current_tenant_id() is not null and exists (
       select from jsonb_to_recordset(p_accepts) as a(tenant_id uuid, owner_id uuid)
        where a.tenant_id is distinct from public.current_tenant_id()
           or a.owner_id is distinct from public.current_user_id()) then
    raise insufficient_privilege using message = 'a run is begun by its owner alone';
  end if;
  if p_accepts <> '[]' then
    execute $sql$
      with asked as materialized (
        select * from jsonb_to_recordset($1) as a(
               tenant_id uuid, id uuid, plan_id uuid, plan_version integer, definition jsonb, owner_id uuid,
               visibility text, trigger text, input jsonb, idempotency_key text, request_hash text,
               host_id uuid, origin_id uuid, entries jsonb)
      ), stored as (
        insert into public.executions (
               tenant_id, id, plan_id, plan_version, definition, owner_id, visibility, status, trigger, input,
               idempotency_key, request_hash, host_id, lease_epoch, started_at, origin_id)
        select a.tenant_id, a.id, a.plan_id, a.plan_version, a.definition, a.owner_id, a.visibility,
               case when a.host_id is null then 'queued' else 'running' end, a.trigger,
               coalesce(a.input, 'null'), a.idempotency_key, a.request_hash, a.host_id,
               case when a.host_id is null then 0 else 1 end,
               case when a.host_id is not null then now() end, a.origin_id
          from asked a
         -- Two calls that wait for each other's keys do so in one order.
         order by a.tenant_id, a.owner_id, a.idempotency_key, a.id
        on conflict do nothing
        returning tenant_id, id, plan_id, owner_id, visibility
      )
      insert into public.execution_logs (
             tenant_id, id, execution_id, plan_id, owner_id, visibility, step_id, iteration, attempt, provider,
             action, version, status, input, output, message, metadata, error, latency_ms, started_at, finished_at)
      select s.tenant_id, x.id, s.id, s.plan_id, s.owner_id, s.visibility, x.step_id, x.iteration, x.attempt,
             x.provider, x.action, x.version, x.status, x.input, x.output, x.message, x.metadata, x.error,
             x.latency_ms, x.started_at, x.finished_at
        from stored s
        join asked a on a.tenant_id = s.tenant_id and a.id = s.id
       cross join lateral jsonb_to_recordset(a.entries) as x(
             id uuid, step_id text, iteration integer, attempt integer, provider text, action text, version text,
             status text, input jsonb, output jsonb, message text, metadata jsonb, error jsonb,
             latency_ms integer, started_at timestamptz, finished_at timestamptz)
    $sql$ using p_accepts;
    return query execute $sql$
      select 'accept', a.place,
             case when mine.id is not null then 'new' when earlier.id is not null then 'repeated' else 'busy' end,
             coalesce(mine.id, earlier.id), coalesce(mine.request_hash, earlier.request_hash),
             -- Null also for one that was stored by an earlier call and taken up or cancelled since.
             case when mine.host_id = a.host_id and mine.lease_epoch = 1 and mine.status = 'running'
                  then mine.started_at end
        from rows from (jsonb_to_recordset($1) as (
               tenant_id uuid, id uuid, owner_id uuid, host_id uuid, idempotency_key text)
             ) with ordinality as a(tenant_id, id, owner_id, host_id, idempotency_key, place)
        left join public.executions mine on mine.tenant_id = a.tenant_id and mine.id = a.id
        left join public.executions earlier on earlier.tenant_id = a.tenant_id
              and earlier.owner_id = a.owner_id and earlier.idempotency_key = a.idempotency_key
    $sql$ using p_accepts;
  end if;

  if p_writes <> '[]' then
    return query execute $sql$
      with asked as materialized (
        select * from rows from (jsonb_to_recordset($1) as (
                 tenant_id uuid, run uuid, host_id uuid, epoch integer, becomes text, output jsonb, error jsonb,
                 entries jsonb)
               ) with ordinality as a(tenant_id, run, host_id, epoch, becomes, output, error, entries, place)
      ), locked as materialized (
        -- Not waited for: one run that somebody holds must not stop all the others.
        select a.*, e.plan_id, e.owner_id, e.visibility,
               e.status = 'running' and e.host_id = a.host_id and e.lease_epoch = a.epoch as is_held,
               e.status = a.becomes and e.lease_epoch = a.epoch
                 and (e.host_id = a.host_id or a.becomes = 'paused') as is_done
          from asked a
          join public.executions e on e.tenant_id = a.tenant_id and e.id = a.run
           for no key update of e skip locked
      ), held as materialized (
        select * from locked where is_held
      ), written as (
        insert into public.execution_logs as l (
               tenant_id, id, execution_id, plan_id, owner_id, visibility, step_id, iteration, attempt, provider,
               action, version, status, input, output, message, metadata, error, latency_ms, started_at,
               finished_at)
        select h.tenant_id, x.id, h.run, h.plan_id, h.owner_id, h.visibility, x.step_id, x.iteration, x.attempt,
               x.provider, x.action, x.version, x.status, x.input, x.output, x.message, x.metadata, x.error,
               x.latency_ms, x.started_at, x.finished_at
          from held h
         cross join lateral jsonb_to_recordset(h.entries) as x(
               id uuid, step_id text, iteration integer, attempt integer, provider text, action text,
               version text, status text, input jsonb, output jsonb, message text, metadata jsonb, error jsonb,
               latency_ms integer, started_at timestamptz, finished_at timestamptz)
        on conflict (tenant_id, execution_id, step_id, iteration, attempt) do update
           set status = excluded.status, output = excluded.output, message = excluded.message,
               metadata = excluded.metadata, error = excluded.error, latency_ms = excluded.latency_ms,
               finished_at = excluded.finished_at
         where l.status = 'started'
        returning l.tenant_id, l.execution_id, l.step_id, l.iteration, l.attempt
      ), used as (
        -- Each attempt that opened a credential, told in the same write as what came of it, and once
        -- when the write is repeated.
        insert into public.audit_log (
               tenant_id, id, actor_id, user_id, action, subject_type, subject_id, outcome, details)
        select h.tenant_id, u.use_id, h.owner_id, h.owner_id, 'credential.used', 'credential', u.credential_id,
               'success',
               jsonb_build_object('execution_id', h.run, 'plan_id', h.plan_id, 'step_id', u.step_id,
                                  'attempt', u.attempt, 'provider', u.provider, 'action', u.action)
          from held h
         cross join lateral jsonb_to_recordset(h.entries) as u(
               use_id uuid, credential_id text, step_id text, iteration integer, attempt integer, provider text,
               action text)
          join written w on w.tenant_id = h.tenant_id and w.execution_id = h.run and w.step_id = u.step_id
                        and w.iteration = u.iteration and w.attempt = u.attempt
         where u.use_id is not null
      ), ended as (
        update public.executions e
           set status = h.becomes,
               output = case when h.becomes = 'paused' then e.output else coalesce(h.output, 'null') end,
               error = case when h.becomes = 'paused' then e.error else h.error end,
               finished_at = case when h.becomes = 'paused' then e.finished_at else now() end,
               host_id = case when h.becomes = 'paused' then null else e.host_id end,
               pause_requested = e.pause_requested and h.becomes <> 'paused'
          from held h
         where e.tenant_id = h.tenant_id and e.id = h.run and h.becomes is not null
      )
      select 'write', a.place,
             case when l.is_held or l.is_done then 'written'
                  when l.place is null and there.is_there then 'busy'
                  else 'lost' end,
             a.run, null::text, null::timestamptz
        from asked a
        left join locked l using (place)
        left join lateral (
          select true as is_there from public.executions e
           where l.place is null and e.tenant_id = a.tenant_id and e.id = a.run
           limit 1) there on true
    $sql$ using p_writes;
  end if;
end
$$;


create or replace function due_schedules(p_limit integer)
returns table (tenant_id uuid, schedule_id uuid, owner_id uuid, owner_role text)
language sql stable security definer set search_path = pg_catalog, public, pg_temp
as $$
  with due as (
    select s.tenant_id, s.id, s.owner_id, s.due_at
      from public.schedules s
     where s.status = 'active' and s.due_at <= now()
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


drop table execution_waits;
drop function stop_child();
revoke update (wake_at) on executions from :"app";
delete from execution_logs where status = 'waiting';
update executions set status = 'queued' where status = 'waiting';
alter table execution_logs
  drop constraint ck_execution_logs_status,
  add constraint ck_execution_logs_status check (status in ('started', 'success', 'error', 'skipped')),
  drop column output_blob,
  drop column input_blob;
drop table execution_blobs;
alter table executions
  drop constraint fk_executions_parent,
  drop column output_blob,
  drop column owes_parent,
  drop column depth,
  drop column parent_id,
  drop column has_waits,
  drop column wake_requested,
  drop column wake_at;
