-- The hot path: what a run costs from the request that starts it to its end.

alter table executions
  -- What `trigger` reads in its references: how a webhook was called.
  add column trigger_data jsonb;

-- Stores new runs, in one statement whose plan is made once per connection: planning takes longer than a lone
-- run does. That plan goes by keys, whatever was known of the tables when it was made. A run whose host
-- was asked to wait for it may have come further, or to its end, before it is stored.
create function accept_runs(p_accepts jsonb)
returns table (kind text, place bigint, state text, run_id uuid, run_hash text, run_started_at timestamptz)
language plpgsql volatile
set search_path = pg_catalog, public, pg_temp set jit = off set plan_cache_mode = force_generic_plan
  set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
#variable_conflict use_column
begin
  with asked as materialized (
    select * from jsonb_to_recordset(p_accepts) as a(
           tenant_id uuid, id uuid, plan_id uuid, plan_version integer, definition jsonb, owner_id uuid,
           visibility text, trigger text, input jsonb, idempotency_key text, request_hash text,
           host_id uuid, origin_id uuid, parent_id uuid, depth integer, trigger_data jsonb, entries jsonb, blobs jsonb,
           age_ms double precision, becomes text, output jsonb, output_blob uuid, error jsonb)
  ), stored as (
    insert into public.executions (
           tenant_id, id, plan_id, plan_version, definition, owner_id, visibility, status, trigger, input,
           idempotency_key, request_hash, host_id, lease_epoch, started_at, origin_id, parent_id, depth, trigger_data,
           created_at, output, output_blob, error, finished_at)
    select a.tenant_id, a.id, a.plan_id, a.plan_version, a.definition, a.owner_id, a.visibility,
           coalesce(a.becomes, case when a.host_id is null then 'queued' else 'running' end), a.trigger,
           coalesce(a.input, 'null'), a.idempotency_key, a.request_hash, a.host_id,
           case when a.host_id is null then 0 else 1 end,
           case when a.host_id is not null then now() - coalesce(a.age_ms, 0) * interval '1 millisecond' end,
           a.origin_id, a.parent_id, coalesce(a.depth, 0), a.trigger_data,
           now() - coalesce(a.age_ms, 0) * interval '1 millisecond',
           case when a.becomes is not null then coalesce(a.output, 'null') end, a.output_blob, a.error,
           case when a.becomes is not null then now() end
      from asked a
     -- Two calls that wait for each other's keys do so in one order.
     order by a.tenant_id, a.owner_id, a.idempotency_key, a.id
    on conflict do nothing
    returning tenant_id, id
  ), kept as (
    insert into public.execution_blobs (tenant_id, id, execution_id, owner_id, visibility, bytes, value)
    select a.tenant_id, b.id, a.id, a.owner_id, a.visibility, b.bytes, b.value
      from asked a
     cross join lateral jsonb_to_recordset(a.blobs) as b(id uuid, bytes integer, value jsonb)
     -- As a case it is looked up by hash, whatever the plan; a join of the two would be quadratic.
     where case when (a.tenant_id, a.id) in (select s.tenant_id, s.id from stored s) then true end
  )
  insert into public.execution_logs (
         tenant_id, id, execution_id, plan_id, owner_id, visibility, step_id, iteration, attempt, provider,
         action, version, status, input, output, message, metadata, error, latency_ms, started_at, finished_at,
         input_blob, output_blob)
  select a.tenant_id, x.id, a.id, a.plan_id, a.owner_id, a.visibility, x.step_id, x.iteration, x.attempt,
         x.provider, x.action, x.version, x.status, x.input, x.output, x.message, x.metadata, x.error,
         x.latency_ms, x.started_at, x.finished_at, x.input_blob, x.output_blob
    from asked a
   cross join lateral jsonb_to_recordset(a.entries) as x(
         id uuid, step_id text, iteration integer, attempt integer, provider text, action text, version text,
         status text, input jsonb, output jsonb, message text, metadata jsonb, error jsonb,
         latency_ms integer, started_at timestamptz, finished_at timestamptz, input_blob uuid,
         output_blob uuid)
   where case when (a.tenant_id, a.id) in (select s.tenant_id, s.id from stored s) then true end;
  return query
  select 'accept', a.place,
         case when mine.id is not null then 'new' when earlier.id is not null then 'repeated' else 'busy' end,
         coalesce(mine.id, earlier.id), coalesce(mine.request_hash, earlier.request_hash),
         -- Null also for one that was stored by an earlier call and taken up or cancelled since.
         case when mine.host_id = a.host_id and mine.lease_epoch = 1 and mine.status = 'running'
              then mine.started_at end
    from rows from (jsonb_to_recordset(p_accepts) as (
           tenant_id uuid, id uuid, owner_id uuid, host_id uuid, idempotency_key text)
         ) with ordinality as a(tenant_id, id, owner_id, host_id, idempotency_key, place)
    left join public.executions mine on mine.tenant_id = a.tenant_id and mine.id = a.id
    left join public.executions earlier on earlier.tenant_id = a.tenant_id
          and earlier.owner_id = a.owner_id and earlier.idempotency_key = a.idempotency_key;
end
$$;
revoke execute on function accept_runs(jsonb) from public;
grant execute on function accept_runs(jsonb) to :"system";

-- What most writes of runs are: entries, and perhaps the end. Its plan is kept as well. What goes with waits,
-- with large values or with the use of a credential is left to flush_runs, which plans as it goes.
create function write_plain(p_writes jsonb)
returns table (kind text, place bigint, state text, run_id uuid, run_hash text, run_started_at timestamptz)
language plpgsql volatile
set search_path = pg_catalog, public, pg_temp set jit = off set plan_cache_mode = force_generic_plan
  set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
#variable_conflict use_column
begin
  return query
  with locked as materialized (
    select a.*, l.plan_id, l.owner_id, l.visibility, l.is_there,
           l.status = 'running' and l.host_id = a.host_id and l.lease_epoch = a.epoch as is_held,
           l.lease_epoch = a.epoch
             and case a.becomes when 'paused' then l.status = 'paused'
                                else l.status = a.becomes and l.host_id = a.host_id end as is_done
      from rows from (jsonb_to_recordset(p_writes) as (
             tenant_id uuid, run uuid, host_id uuid, epoch integer, becomes text, output jsonb, error jsonb,
             entries jsonb)
           ) with ordinality as a(tenant_id, run, host_id, epoch, becomes, output, error, entries, place)
      left join lateral (
        -- Not waited for: one run that somebody holds must not stop all the others.
        select e.plan_id, e.owner_id, e.visibility, e.status, e.host_id, e.lease_epoch, true as is_there
          from public.executions e
         where e.tenant_id = a.tenant_id and e.id = a.run
           for no key update of e skip locked) l on true
  ), written as (
    insert into public.execution_logs as l (
           tenant_id, id, execution_id, plan_id, owner_id, visibility, step_id, iteration, attempt, provider,
           action, version, status, input, output, message, metadata, error, latency_ms, started_at, finished_at)
    select h.tenant_id, x.id, h.run, h.plan_id, h.owner_id, h.visibility, x.step_id, x.iteration, x.attempt,
           x.provider, x.action, x.version, x.status, x.input, x.output, x.message, x.metadata, x.error,
           x.latency_ms, x.started_at, x.finished_at
      from locked h
     cross join lateral jsonb_to_recordset(h.entries) as x(
           id uuid, step_id text, iteration integer, attempt integer, provider text, action text, version text,
           status text, input jsonb, output jsonb, message text, metadata jsonb, error jsonb,
           latency_ms integer, started_at timestamptz, finished_at timestamptz)
     where h.is_held
    on conflict (tenant_id, execution_id, step_id, iteration, attempt) do update
       set status = excluded.status, output = excluded.output, message = excluded.message,
           metadata = excluded.metadata, error = excluded.error, latency_ms = excluded.latency_ms,
           finished_at = excluded.finished_at, output_blob = excluded.output_blob
     where l.status in ('started', 'waiting') and l.status <> excluded.status
  ), ended as (
    update public.executions e
       set status = h.becomes,
           output = case when h.becomes = 'paused' then e.output else coalesce(h.output, 'null') end,
           output_blob = null,
           error = case when h.becomes = 'paused' then e.error else h.error end,
           finished_at = case when h.becomes = 'paused' then e.finished_at else now() end,
           host_id = case when h.becomes = 'paused' then null else e.host_id end,
           wake_at = null, wake_requested = false,
           pause_requested = e.pause_requested and h.becomes <> 'paused'
      from locked h
     where h.is_held and h.becomes is not null and e.tenant_id = h.tenant_id and e.id = h.run
  )
  select 'write', h.place,
         case when h.is_held or h.is_done then 'written'
              when h.is_there is null
                and (select true from public.executions e where e.tenant_id = h.tenant_id and e.id = h.run) then 'busy'
              else 'lost' end,
         h.run, null::text, null::timestamptz
    from locked h;
end
$$;
revoke execute on function write_plain(jsonb) from public;
grant execute on function write_plain(jsonb) to :"system";

-- As before (see the migration of waits), with new runs and plain writes by the functions above.
create or replace function flush_runs(p_accepts jsonb, p_writes jsonb)
returns table (kind text, place bigint, state text, run_id uuid, run_hash text, run_started_at timestamptz)
language plpgsql volatile security definer
set search_path = pg_catalog, public, pg_temp set enable_seqscan = off set jit = off
as $$
begin
  -- The committer speaks for all tenants and sets nobody. Inside somebody's transaction only that one's
  -- runs are taken: what a request can say in SQL begins nothing in another's name, and ends nothing.
  if public.current_tenant_id() is not null and exists (
       select from jsonb_to_recordset(p_accepts) as a(tenant_id uuid, owner_id uuid)
        where a.tenant_id is distinct from public.current_tenant_id()
           or a.owner_id is distinct from public.current_user_id()) then
    raise insufficient_privilege using message = 'a run is begun by its owner alone';
  end if;
  if public.current_tenant_id() is not null and p_writes <> '[]' then
    raise insufficient_privilege using message = 'a run is written by the host that holds it alone';
  end if;
  if p_accepts <> '[]' then
    return query select * from public.accept_runs(p_accepts);
  end if;

  if p_writes <> '[]' and not exists (
       select from jsonb_to_recordset(p_writes) as a(tenant_id uuid, run uuid, is_plain boolean)
        where a.is_plain is distinct from true
           or (select e.has_waits from public.executions e where e.tenant_id = a.tenant_id and e.id = a.run)) then
    return query select * from public.write_plain(p_writes);
  elsif p_writes <> '[]' then
    return query execute $sql$
      with asked as materialized (
        select * from rows from (jsonb_to_recordset($1) as (
                 tenant_id uuid, run uuid, host_id uuid, epoch integer, becomes text, output jsonb, error jsonb,
                 entries jsonb, rest_ms bigint, waits jsonb, blobs jsonb, output_blob uuid)
               ) with ordinality as a(tenant_id, run, host_id, epoch, becomes, output, error, entries, rest_ms, waits,
                                      blobs, output_blob, place)
      ), locked as materialized (
        -- Not waited for: one run that somebody holds must not stop all the others.
        select a.*, e.plan_id, e.owner_id, e.visibility, e.wake_requested, e.pause_requested, e.has_waits,
               e.status = 'running' and e.host_id = a.host_id and e.lease_epoch = a.epoch as is_held,
               e.lease_epoch = a.epoch
                 and case a.becomes when 'waiting' then e.status in ('waiting', 'queued', 'paused')
                                    when 'paused' then e.status = 'paused'
                                    else e.status = a.becomes and e.host_id = a.host_id end as is_done
          from asked a
          join public.executions e on e.tenant_id = a.tenant_id and e.id = a.run
           for no key update of e skip locked
      ), held as materialized (
        select * from locked where is_held
      ), kept as (
        insert into public.execution_blobs (tenant_id, id, execution_id, owner_id, visibility, bytes, value)
        select h.tenant_id, b.id, h.run, h.owner_id, h.visibility, b.bytes, b.value
          from held h
         cross join lateral jsonb_to_recordset(h.blobs) as b(id uuid, bytes integer, value jsonb)
         where h.blobs is not null
        on conflict do nothing
      ), opened as (
        -- A place that comes to wait again opens its row anew, unless what it is for has happened before
        -- it came there.
        insert into public.execution_waits as w (
               tenant_id, id, execution_id, plan_id, owner_id, visibility, step_id, iteration, attempt, kind,
               status, message, child_id, wake_at)
        select h.tenant_id, x.id, h.run, h.plan_id, h.owner_id, h.visibility, x.step_id, x.iteration, x.attempt,
               x.kind, 'open', x.message, x.child_id,
               coalesce(x.until, public.engine_now() + x.wake_ms * interval '1 millisecond')
          from held h
         cross join lateral jsonb_to_recordset(h.waits) as x(
               id uuid, step_id text, iteration integer, attempt integer, kind text, message text, child_id uuid,
               until timestamptz, wake_ms bigint)
         where h.waits is not null
        on conflict (tenant_id, execution_id, step_id, iteration) do update
           set attempt = excluded.attempt, kind = excluded.kind, message = excluded.message,
               child_id = excluded.child_id, wake_at = excluded.wake_at,
               status = case when w.attempt is null and w.kind = excluded.kind then w.status else 'open' end,
               payload = case when w.attempt is null and w.kind = excluded.kind then w.payload end,
               resolved_by = case when w.attempt is null and w.kind = excluded.kind then w.resolved_by end,
               ended_at = case when w.attempt is null and w.kind = excluded.kind then w.ended_at end
         where w.attempt is distinct from excluded.attempt
        returning w.tenant_id, w.execution_id, w.wake_at, w.status
      ), closed as (
        -- What a place no longer waits for wakes nobody, and nobody may answer it.
        update public.execution_waits w
           set status = 'cancelled', ended_at = public.engine_now()
          from held h
         cross join lateral jsonb_to_recordset(h.entries) as x(
               step_id text, iteration integer, attempt integer, status text)
         where h.has_waits and x.status in ('success', 'error')
           and w.tenant_id = h.tenant_id and w.execution_id = h.run and w.step_id = x.step_id
           and ((w.iteration = x.iteration and w.attempt = x.attempt) or x.iteration = -1)
           and w.status = 'open'
      ), written as (
        insert into public.execution_logs as l (
               tenant_id, id, execution_id, plan_id, owner_id, visibility, step_id, iteration, attempt, provider,
               action, version, status, input, output, message, metadata, error, latency_ms, started_at,
               finished_at, input_blob, output_blob)
        select h.tenant_id, x.id, h.run, h.plan_id, h.owner_id, h.visibility, x.step_id, x.iteration, x.attempt,
               x.provider, x.action, x.version, x.status, x.input, x.output, x.message, x.metadata, x.error,
               x.latency_ms, x.started_at, x.finished_at, x.input_blob, x.output_blob
          from held h
         cross join lateral jsonb_to_recordset(h.entries) as x(
               id uuid, step_id text, iteration integer, attempt integer, provider text, action text,
               version text, status text, input jsonb, output jsonb, message text, metadata jsonb, error jsonb,
               latency_ms integer, started_at timestamptz, finished_at timestamptz, input_blob uuid,
               output_blob uuid)
        on conflict (tenant_id, execution_id, step_id, iteration, attempt) do update
           set status = excluded.status, output = excluded.output, message = excluded.message,
               metadata = excluded.metadata, error = excluded.error, latency_ms = excluded.latency_ms,
               finished_at = excluded.finished_at, output_blob = excluded.output_blob
         where l.status in ('started', 'waiting') and l.status <> excluded.status
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
           set status = case when h.becomes <> 'waiting' then h.becomes
                             when h.pause_requested then 'paused'
                             when h.wake_requested then 'queued'
                             else 'waiting' end,
               output = case when h.becomes in ('paused', 'waiting') then e.output else coalesce(h.output, 'null') end,
               output_blob = h.output_blob,
               error = case when h.becomes in ('paused', 'waiting') then e.error else h.error end,
               finished_at = case when h.becomes in ('paused', 'waiting') then e.finished_at else now() end,
               host_id = case when h.becomes in ('paused', 'waiting') then null else e.host_id end,
               wake_at = case when h.becomes = 'waiting' and not h.pause_requested and not h.wake_requested then least(
                 public.engine_now() + h.rest_ms * interval '1 millisecond',
                 (select min(w.wake_at) from public.execution_waits w
                   where w.tenant_id = h.tenant_id and w.execution_id = h.run and w.status = 'open')) end,
               wake_requested = false,
               pause_requested = e.pause_requested and h.becomes not in ('paused', 'waiting')
          from held h
         where e.tenant_id = h.tenant_id and e.id = h.run and h.becomes is not null
      ), marked as (
        select distinct h.tenant_id, h.run from held h where h.waits is not null and h.becomes is null
      ), waits_noted as (
        update public.executions e set has_waits = true
          from marked m
         where e.tenant_id = m.tenant_id and e.id = m.run and not e.has_waits
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

-- As before (see the migration of work), with two differences. Where nobody else waits, a turn is as long as the
-- host has places: turns are for those who share. And what the host needs to begin a run comes along, so
-- that it reads no more than the journals of those that have begun before.
drop function claim_runs(uuid, uuid, integer);
create function claim_runs(p_host uuid, p_tenant uuid, p_places integer)
returns table (tenant_id uuid, execution_id uuid, owner_id uuid, lease_epoch integer, is_limited boolean,
               has_begun boolean, tenant_name text, plan_id uuid, plan_version integer, definition jsonb,
               visibility text, trigger_data jsonb, input jsonb, started_at timestamptz, depth integer, parent_id uuid)
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
  set plan_cache_mode = force_custom_plan
as $$
declare
  v_turn integer;
  v_is_limited boolean;
  v_picked uuid[];
begin
  if public.current_tenant_id() is not null then
    raise insufficient_privilege using message = 'runs are claimed by hosts alone';
  end if;
  select case when exists (select from public.executions e where e.status = 'queued' and e.tenant_id < p_tenant)
                or exists (select from public.executions e where e.status = 'queued' and e.tenant_id > p_tenant)
              then least(p_places, coalesce(s.weight, 10)) else p_places end,
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
    with claimed as (
      update public.executions e
         set status = 'running', host_id = p_host, lease_epoch = e.lease_epoch + 1,
             started_at = coalesce(e.started_at, now()), takeovers = 0
       where e.tenant_id = p_tenant and e.id = any (v_picked)
      returning e.*
    )
    select c.tenant_id, c.id, c.owner_id, c.lease_epoch, v_is_limited,
           -- A fork has results before its first lease, and still has them when its origin has expired.
           c.lease_epoch > 1 or c.trigger = 'fork', t.name, c.plan_id, c.plan_version, c.definition,
           c.visibility, c.trigger_data, c.input, c.started_at, c.depth, c.parent_id
      from claimed c join public.tenants t on t.id = c.tenant_id
     order by c.created_at;
end
$$;
alter function claim_runs(uuid, uuid, integer) owner to :"system";
revoke execute on function claim_runs(uuid, uuid, integer) from public;
grant execute on function claim_runs(uuid, uuid, integer) to :"app";

-- As before (see the migration of the controls), by what triggered a run: its origin may have been forgotten.
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
     and ((e.trigger not in ('replay', 'fork') and e.forgiven is null) or exists (
       select from public.plan_versions n cross join lateral jsonb_array_elements(n.steps) as b (step)
        where n.tenant_id = p.tenant_id and n.plan_id = p.id and n.version = p.version
          and n.created_by = c.owner_id and lower(b.step->>'credential') = c.id::text))
$$;
