-- Group commit: all that the runs of one host have to write, of every tenant, in one call.

create policy system_all on execution_logs for all to :"system" using (true) with check (true);
grant insert on executions to :"system";
grant select, insert, update on execution_logs to :"system";

-- p_accepts are new runs with the journal that they begin with, p_writes what runs under a lease have
-- to say: entries of the journal, and the status that the run goes to, if it does. One row comes back
-- for each, by its place in its list:
--   new, repeated (run_id and run_hash are the earlier one's), written, lost (the lease is; nothing was
--   written), busy (somebody else is changing that run: ask again).
-- A call that is repeated because its answer was lost writes nothing twice and answers the same. Lists
-- hold a run once. Each run is held against its own lease, and its journal takes tenant, plan, owner
-- and visibility from its row.
-- `execute` plans anew each time: a plan that was kept since the tables were empty reads all of them.
-- The settings hold for the foreign keys' own queries, too, whose plans are kept.
create function flush_runs(p_accepts jsonb, p_writes jsonb)
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

alter function flush_runs(jsonb, jsonb) owner to :"system";
revoke execute on function flush_runs(jsonb, jsonb) from public;
grant execute on function flush_runs(jsonb, jsonb) to :"app";

-- New runs and what hosts write of them go through it alone. Requests still end intents, and read.
revoke insert on executions from :"app";
revoke insert, update on execution_logs from :"app";
grant update (status, error, message, finished_at) on execution_logs to :"app";
