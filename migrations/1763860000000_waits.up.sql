-- Waits: steps that rest without a host, plans that run plans, and outputs too large for a row.

alter table executions
  -- While it waits: when it goes on by itself, at the latest.
  add column wake_at timestamptz,
  -- Something that one of its waits was for has happened while a host walked it.
  add column wake_requested boolean not null default false,
  -- Whether any of its steps ever waited.
  add column has_waits boolean not null default false,
  -- The execution one of whose steps runs this plan, and how many of them stand above it.
  add column parent_id uuid,
  add column depth integer not null default 0,
  -- It has ended, and the execution above it was in use just then, so that nobody has told it yet.
  add column owes_parent boolean not null default false,
  -- Its output, where that is too large for this row.
  add column output_blob uuid,
  add constraint fk_executions_parent foreign key (tenant_id, parent_id) references executions (tenant_id, id);
create index ix_executions_waking on executions (wake_at) where status = 'waiting';
create index ix_executions_parent on executions (tenant_id, parent_id) where parent_id is not null;
create index ix_executions_owing on executions (id) where owes_parent;
-- Who pauses or cancels one that waits takes its time away.
grant update (wake_at) on executions to :"app";

alter table execution_logs
  -- Where input or output are too large for this row.
  add column input_blob uuid,
  add column output_blob uuid,
  drop constraint ck_execution_logs_status,
  add constraint ck_execution_logs_status check (status in ('started', 'waiting', 'success', 'error', 'skipped'));

-- Values that are too large for the rows that they belong to.
create table execution_blobs (
  tenant_id uuid not null,
  id uuid not null,
  execution_id uuid not null,
  owner_id uuid not null,
  visibility text not null,
  bytes integer not null,
  value jsonb not null,
  created_at timestamptz not null default now(),
  constraint pk_execution_blobs primary key (tenant_id, id),
  constraint fk_execution_blobs_execution foreign key (tenant_id, execution_id)
    references executions (tenant_id, id) on delete cascade,
  constraint ck_execution_blobs_visibility check (visibility in ('private', 'tenant'))
);
create index ix_execution_blobs_execution on execution_blobs (tenant_id, execution_id);

-- What steps wait for: one row per place of a run, a step or an item of its for_each.
create table execution_waits (
  tenant_id uuid not null,
  id uuid not null,
  execution_id uuid not null,
  plan_id uuid,
  owner_id uuid not null,
  visibility text not null,
  step_id text not null,
  iteration integer not null,
  -- Null: what it will wait for has happened before it came there.
  attempt integer,
  kind text not null,
  -- elapsed: its time has come, which ends a timer and fails the others.
  status text not null,
  -- What an approval is about.
  message text,
  -- The execution that it waits for.
  child_id uuid,
  wake_at timestamptz,
  -- What came from outside.
  payload jsonb,
  -- Who decided; null: whoever had the link.
  resolved_by uuid,
  created_at timestamptz not null default now(),
  ended_at timestamptz,
  constraint pk_execution_waits primary key (tenant_id, id),
  constraint uq_execution_waits_place unique (tenant_id, execution_id, step_id, iteration),
  constraint fk_execution_waits_execution foreign key (tenant_id, execution_id)
    references executions (tenant_id, id) on delete cascade,
  constraint ck_execution_waits_visibility check (visibility in ('private', 'tenant')),
  constraint ck_execution_waits_kind check (kind in ('timer', 'callback', 'approval', 'plan')),
  constraint ck_execution_waits_status check (status in ('open', 'resolved', 'elapsed', 'cancelled'))
);
create index ix_execution_waits_child on execution_waits (tenant_id, child_id) where child_id is not null;
create index ix_execution_waits_open on execution_waits (tenant_id, id) where status = 'open';

-- Seen with their execution; written by the functions below alone.
alter table execution_blobs enable row level security;
alter table execution_blobs force row level security;
create policy execution_blobs_read on execution_blobs for select to :"app"
  using (tenant_id = (select current_tenant_id())
    and (visibility = 'tenant' or owner_id = (select current_user_id()) or (select current_is_admin())));
alter table execution_waits enable row level security;
alter table execution_waits force row level security;
create policy execution_waits_read on execution_waits for select to :"app"
  using (tenant_id = (select current_tenant_id())
    and (visibility = 'tenant' or owner_id = (select current_user_id()) or (select current_is_admin())));
create policy system_all on execution_blobs for all to :"system" using (true) with check (true);
create policy system_all on execution_waits for all to :"system" using (true) with check (true);
grant select on execution_blobs, execution_waits to :"app";
grant select, insert on execution_blobs to :"system";
grant select, insert, update on execution_waits to :"system";

-- As before (see the migration of the flush), with three things more: entries of steps that begin to wait
-- open their waits, and those of places that end close them; a run may come to rest until the earliest of
-- them, unless what one is for has happened meanwhile, which queues it at once; and values too large for a row go to execution_blobs.
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
               host_id uuid, origin_id uuid, parent_id uuid, depth integer, entries jsonb, blobs jsonb)
      ), stored as (
        insert into public.executions (
               tenant_id, id, plan_id, plan_version, definition, owner_id, visibility, status, trigger, input,
               idempotency_key, request_hash, host_id, lease_epoch, started_at, origin_id, parent_id, depth)
        select a.tenant_id, a.id, a.plan_id, a.plan_version, a.definition, a.owner_id, a.visibility,
               case when a.host_id is null then 'queued' else 'running' end, a.trigger,
               coalesce(a.input, 'null'), a.idempotency_key, a.request_hash, a.host_id,
               case when a.host_id is null then 0 else 1 end,
               case when a.host_id is not null then now() end, a.origin_id, a.parent_id, coalesce(a.depth, 0)
          from asked a
         -- Two calls that wait for each other's keys do so in one order.
         order by a.tenant_id, a.owner_id, a.idempotency_key, a.id
        on conflict do nothing
        returning tenant_id, id, plan_id, owner_id, visibility
      ), kept as (
        insert into public.execution_blobs (tenant_id, id, execution_id, owner_id, visibility, bytes, value)
        select s.tenant_id, b.id, s.id, s.owner_id, s.visibility, b.bytes, b.value
          from stored s
          join asked a on a.tenant_id = s.tenant_id and a.id = s.id
         cross join lateral jsonb_to_recordset(a.blobs) as b(id uuid, bytes integer, value jsonb)
      )
      insert into public.execution_logs (
             tenant_id, id, execution_id, plan_id, owner_id, visibility, step_id, iteration, attempt, provider,
             action, version, status, input, output, message, metadata, error, latency_ms, started_at, finished_at,
             input_blob, output_blob)
      select s.tenant_id, x.id, s.id, s.plan_id, s.owner_id, s.visibility, x.step_id, x.iteration, x.attempt,
             x.provider, x.action, x.version, x.status, x.input, x.output, x.message, x.metadata, x.error,
             x.latency_ms, x.started_at, x.finished_at, x.input_blob, x.output_blob
        from stored s
        join asked a on a.tenant_id = s.tenant_id and a.id = s.id
       cross join lateral jsonb_to_recordset(a.entries) as x(
             id uuid, step_id text, iteration integer, attempt integer, provider text, action text, version text,
             status text, input jsonb, output jsonb, message text, metadata jsonb, error jsonb,
             latency_ms integer, started_at timestamptz, finished_at timestamptz, input_blob uuid,
             output_blob uuid)
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


-- What somebody outside did about a wait, by the token that names its place. It may come before the step
-- gets there. Answers: resolved; repeated (the same was said before); taken (it was resolved otherwise,
-- its time is over, or it was cancelled); finished (the execution has ended); unknown.
create function resolve_wait(p_tenant uuid, p_execution uuid, p_step text, p_iteration integer, p_kind text,
                             p_id uuid, p_payload jsonb, p_user uuid)
returns text
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_run public.executions;
begin
  -- Who wants to rest holds the same lock: what happens meanwhile is seen by one of the two.
  select * into v_run from public.executions e
   where e.tenant_id = p_tenant and e.id = p_execution for no key update;
  if not found then
    return 'unknown';
  end if;
  if exists (select from public.execution_waits w
              where w.tenant_id = p_tenant and w.execution_id = p_execution and w.step_id = p_step
                and w.iteration = p_iteration and w.status = 'resolved' and w.payload = p_payload) then
    return 'repeated';
  end if;
  if v_run.status in ('success', 'error', 'cancelled') then
    return 'finished';
  end if;
  -- Its step was skipped, or has ended without it.
  if exists (select from public.execution_logs l
              where l.tenant_id = p_tenant and l.execution_id = p_execution and l.step_id = p_step
                and l.iteration in (p_iteration, -1) and l.status in ('skipped', 'success', 'error')
                and l.attempt > coalesce((v_run.forgiven ->> (l.step_id || '#' || l.iteration))::integer, -1)) then
    return 'taken';
  end if;
  insert into public.execution_waits as w (
         tenant_id, id, execution_id, plan_id, owner_id, visibility, step_id, iteration, attempt, kind, status,
         payload, resolved_by, ended_at)
  values (p_tenant, p_id, p_execution, v_run.plan_id, v_run.owner_id, v_run.visibility, p_step, p_iteration, null,
          p_kind, 'resolved', p_payload, p_user, public.engine_now())
  on conflict (tenant_id, execution_id, step_id, iteration) do update
     set status = 'resolved', payload = excluded.payload, resolved_by = excluded.resolved_by,
         ended_at = excluded.ended_at
   where w.status = 'open' and w.kind = p_kind and (w.wake_at is null or w.wake_at > public.engine_now());
  if not found then
    return 'taken';
  end if;
  update public.executions e
     set has_waits = true,
         status = case when e.status = 'waiting' then 'queued' else e.status end,
         wake_at = case when e.status = 'waiting' then null else e.wake_at end,
         wake_requested = e.status = 'running'
   where e.tenant_id = p_tenant and e.id = p_execution;
  return 'resolved';
end
$$;

-- How the waits of some places of a leased run stand, after all whose time has come have ended. Nothing
-- comes back when the lease is lost.
create function settle_waits(p_tenant uuid, p_execution uuid, p_host uuid, p_epoch integer, p_steps text[],
                             p_iterations integer[])
returns table (step_id text, iteration integer, attempt integer, kind text, status text, payload jsonb,
               resolved_by uuid, ended_at timestamptz, due_in_ms double precision, child_id uuid,
               child_status text, child_output jsonb, child_output_blob uuid, child_error jsonb)
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
  set plan_cache_mode = force_custom_plan
as $$
begin
  perform from public.executions e
    where e.tenant_id = p_tenant and e.id = p_execution and e.host_id = p_host and e.lease_epoch = p_epoch
      and e.status = 'running'
      for no key update;
  if not found then
    return;
  end if;
  update public.execution_waits w
     set status = 'elapsed', ended_at = public.engine_now()
   where w.tenant_id = p_tenant and w.execution_id = p_execution and w.status = 'open'
     and w.wake_at <= public.engine_now();
  update public.executions e set wake_requested = false
   where e.tenant_id = p_tenant and e.id = p_execution and e.wake_requested;
  return query
    select w.step_id, w.iteration, w.attempt, w.kind, w.status, w.payload, w.resolved_by, w.ended_at,
           extract(epoch from w.wake_at - public.engine_now())::double precision * 1000, w.child_id,
           c.status, c.output, c.output_blob, c.error
      from unnest(p_steps, p_iterations) as a (step_id, iteration)
      join public.execution_waits w
        on w.tenant_id = p_tenant and w.execution_id = p_execution and w.step_id = a.step_id
       and w.iteration = a.iteration
      left join public.executions c on c.tenant_id = w.tenant_id and c.id = w.child_id;
end
$$;

-- Tells executions that ones they wait for have ended. Who waits is not waited for: it may be in a flush
-- that in turn waits for one of these, and a deadlock holds up the runs of all tenants in both. It is owed
-- then, see wake_executions.
create function tell_parents(p_tenants uuid[], p_children uuid[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
  set enable_seqscan = off
as $$
begin
  with children as materialized (
    select c.tenant_id, c.id, c.parent_id, c.owes_parent,
           c.status in ('success', 'error', 'cancelled') as has_ended
      from unnest(p_tenants, p_children) as a (tenant_id, id)
      join public.executions c on c.tenant_id = a.tenant_id and c.id = a.id
  ), free as materialized (
    select p.tenant_id, p.id from public.executions p
     where (p.tenant_id, p.id) in (select c.tenant_id, c.parent_id from children c)
       for no key update skip locked
  ), told as (
    update public.execution_waits w
       set status = 'resolved', ended_at = public.engine_now()
      from children c join free p on p.tenant_id = c.tenant_id and p.id = c.parent_id
     where c.has_ended and w.tenant_id = c.tenant_id and w.child_id = c.id and w.status = 'open'
    returning w.tenant_id, w.execution_id
  ), woken as (
    update public.executions e
       set status = case when e.status = 'waiting' then 'queued' else e.status end,
           wake_at = case when e.status = 'waiting' then null else e.wake_at end,
           wake_requested = e.status = 'running'
      from (select distinct t.tenant_id, t.execution_id from told t) t
     where e.tenant_id = t.tenant_id and e.id = t.execution_id and e.status in ('running', 'waiting')
  )
  update public.executions e set owes_parent = p.id is null
    from children c left join free p on p.tenant_id = c.tenant_id and p.id = c.parent_id
   where e.tenant_id = c.tenant_id and e.id = c.id and c.owes_parent <> (p.id is null);
end
$$;

-- Puts runs back into the queue whose time has come, the longest due first, and tells those that are owed
-- word of another's end.
create function wake_executions(p_limit integer) returns integer
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
  set plan_cache_mode = force_custom_plan
as $$
declare
  v_count integer;
  v_tenants uuid[];
  v_children uuid[];
begin
  select array_agg(o.tenant_id), array_agg(o.id) into v_tenants, v_children
    from (select e.tenant_id, e.id from public.executions e where e.owes_parent
           limit p_limit for no key update skip locked) o;
  if v_children is not null then
    perform public.tell_parents(v_tenants, v_children);
  end if;
  with due as (
    select e.tenant_id, e.id from public.executions e
     where e.status = 'waiting' and e.wake_at <= public.engine_now()
     order by e.wake_at
     limit p_limit
       for no key update skip locked
  )
  update public.executions e set status = 'queued', wake_at = null
    from due
   where e.tenant_id = due.tenant_id and e.id = due.id;
  get diagnostics v_count = row_count;
  return v_count;
end
$$;

-- The end of a run ends its waits, and whoever waits for it goes on.
create function end_waits() returns trigger
language plpgsql security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  if new.has_waits then
    update public.execution_waits w
       set status = 'cancelled', ended_at = public.engine_now()
     where w.tenant_id = new.tenant_id and w.execution_id = new.id and w.status = 'open';
  end if;
  if new.parent_id is not null then
    perform public.tell_parents(array[new.tenant_id], array[new.id]);
  end if;
  return null;
end
$$;
create trigger tr_executions_end_waits after update of status on executions for each row
  when (new.status in ('success', 'error', 'cancelled') and new.status <> old.status
        and (new.has_waits or new.parent_id is not null))
  execute function end_waits();

-- An execution that nobody waits for any more, since the step that ran it has ended before it, ends, too.
create function stop_child() returns trigger
language plpgsql security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  with stopped as (
    -- One whose caller has failed can be tried again together with it.
    update public.executions e
       set status = case p.status when 'cancelled' then 'cancelled' else 'error' end,
           error = case when p.status <> 'cancelled' then jsonb_build_object(
                     'code', 'step.cancelled', 'retryable', false,
                     'message', 'the step that ran this plan has ended before it') end,
           lease_epoch = e.lease_epoch + 1, finished_at = now(), pause_requested = false, wake_at = null
      from public.executions p
     where p.tenant_id = new.tenant_id and p.id = new.execution_id
       and e.tenant_id = new.tenant_id and e.id = new.child_id
       and e.status not in ('success', 'error', 'cancelled')
    returning e.id
  )
  update public.execution_logs l
     set status = 'error', finished_at = now(), message = 'the execution that it belongs to was cancelled',
         error = jsonb_build_object('code', 'step.cancelled', 'retryable', false, 'message',
                   'the execution was cancelled while this step ran; its effect may have happened')
    from stopped c
   where l.tenant_id = new.tenant_id and l.execution_id = c.id and l.status in ('started', 'waiting');
  return null;
end
$$;
create trigger tr_execution_waits_stop_child after update of status on execution_waits for each row
  when (new.status = 'cancelled' and old.status = 'open' and new.child_id is not null)
  execute function stop_child();

-- As before (see the migration of the controls), with one reason more: something has happened that a
-- step of a walked run waits for.
create or replace function heartbeat(p_host uuid, p_executions uuid[])
returns table (execution_id uuid, reason text)
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
  set plan_cache_mode = force_custom_plan
as $$
begin
  insert into public.hosts as h (id) values (p_host)
    on conflict (id) do update
      set heartbeat_at = public.engine_now(),
          doubts_until = case when public.is_recent(h.heartbeat_at) then h.doubts_until
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

-- As before (see the migration of schedules), by the clock of the engine.
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


alter function resolve_wait(uuid, uuid, text, integer, text, uuid, jsonb, uuid) owner to :"system";
alter function settle_waits(uuid, uuid, uuid, integer, text[], integer[]) owner to :"system";
alter function wake_executions(integer) owner to :"system";
alter function tell_parents(uuid[], uuid[]) owner to :"system";
alter function end_waits() owner to :"system";
alter function stop_child() owner to :"system";
revoke execute on function resolve_wait(uuid, uuid, text, integer, text, uuid, jsonb, uuid),
  settle_waits(uuid, uuid, uuid, integer, text[], integer[]), wake_executions(integer), tell_parents(uuid[], uuid[]),
  end_waits(), stop_child() from public;
grant execute on function resolve_wait(uuid, uuid, text, integer, text, uuid, jsonb, uuid),
  settle_waits(uuid, uuid, uuid, integer, text[], integer[]), wake_executions(integer) to :"app";
