-- Schedules: when a plan runs by itself, and each time that it did.

create table schedules (
  tenant_id uuid not null,
  id uuid not null,
  plan_id uuid not null,
  -- The run-as user: who enabled it last.
  owner_id uuid not null,
  -- The version of the plan that he enabled it for.
  plan_version integer not null,
  -- Exactly one of these three says when.
  cron text,
  every_seconds integer,
  at timestamptz,
  timezone text not null,
  -- Where the grid of every_seconds begins.
  anchor_at timestamptz not null,
  starts_at timestamptz,
  ends_at timestamptz,
  overlap text not null,
  catch_up text not null,
  catch_up_seconds integer not null,
  jitter_seconds integer not null,
  input jsonb not null,
  status text not null,
  -- Why it stopped by itself: { code, message }.
  error jsonb,
  -- The next time that it names, and that time with its jitter. Null: none is left, or it rests.
  next_fire_at timestamptz,
  due_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint pk_schedules primary key (tenant_id, id),
  constraint uq_schedules_plan unique (tenant_id, plan_id),
  constraint fk_schedules_plan foreign key (tenant_id, plan_id) references plans (tenant_id, id),
  constraint fk_schedules_owner foreign key (tenant_id, owner_id) references users (tenant_id, id),
  constraint ck_schedules_when check (num_nonnulls(cron, every_seconds, at) = 1),
  constraint ck_schedules_overlap check (overlap in ('skip', 'queue', 'allow', 'cancel')),
  constraint ck_schedules_catch_up check (catch_up in ('none', 'last', 'all')),
  constraint ck_schedules_status check (status in ('active', 'paused', 'ended', 'error')),
  constraint ck_schedules_due check ((next_fire_at is null) = (due_at is null) and (status = 'active') = (due_at is not null))
);
create index ix_schedules_due on schedules (due_at) where status = 'active';

-- One row per time that a schedule came due: whatever happens, no time counts twice.
create table schedule_fires (
  tenant_id uuid not null,
  schedule_id uuid not null,
  nominal_at timestamptz not null,
  fired_at timestamptz not null default now(),
  -- waiting: queued behind the run before it. missed: nobody was there to run it in time.
  outcome text not null,
  execution_id uuid,
  reason text,
  constraint pk_schedule_fires primary key (tenant_id, schedule_id, nominal_at),
  constraint fk_schedule_fires_schedule foreign key (tenant_id, schedule_id)
    references schedules (tenant_id, id) on delete cascade,
  constraint fk_schedule_fires_execution foreign key (tenant_id, execution_id)
    references executions (tenant_id, id) on delete set null (execution_id),
  constraint ck_schedule_fires_outcome check (outcome in ('started', 'waiting', 'skipped', 'missed'))
);
create index ix_schedule_fires_waiting on schedule_fires (tenant_id, schedule_id) where outcome = 'waiting';
create index ix_schedule_fires_execution on schedule_fires (tenant_id, execution_id) where execution_id is not null;

-- A schedule is seen with its plan, and by the run-as user, who must be able to stop it when he no
-- longer sees the plan. Whoever makes it fire is who it runs as: nobody else leaves it active.
alter table schedules enable row level security;
alter table schedules force row level security;
create policy schedules_read on schedules for select to :"app"
  using (tenant_id = (select current_tenant_id())
    and (owner_id = (select current_user_id()) or (select current_is_admin()) or exists (
      select from plans p where p.tenant_id = schedules.tenant_id and p.id = schedules.plan_id)));
create policy schedules_insert on schedules for insert to :"app"
  with check (tenant_id = (select current_tenant_id()) and owner_id = (select current_user_id())
    and ((select current_is_admin()) or exists (
      select from plans p where p.tenant_id = schedules.tenant_id and p.id = schedules.plan_id
         and p.owner_id = (select current_user_id()))));
create policy schedules_update on schedules for update to :"app"
  using (tenant_id = (select current_tenant_id())
    and (owner_id = (select current_user_id()) or (select current_is_admin()) or exists (
      select from plans p where p.tenant_id = schedules.tenant_id and p.id = schedules.plan_id
         and p.owner_id = (select current_user_id()))))
  with check (tenant_id = (select current_tenant_id())
    and (owner_id = (select current_user_id()) or status <> 'active'));
create policy schedules_delete on schedules for delete to :"app"
  using (tenant_id = (select current_tenant_id())
    and ((select current_is_admin()) or exists (
      select from plans p where p.tenant_id = schedules.tenant_id and p.id = schedules.plan_id
         and p.owner_id = (select current_user_id()))));

alter table schedule_fires enable row level security;
alter table schedule_fires force row level security;
create policy schedule_fires_read on schedule_fires for select to :"app"
  using (tenant_id = (select current_tenant_id()) and exists (
    select from schedules s where s.tenant_id = schedule_fires.tenant_id and s.id = schedule_fires.schedule_id));
create policy schedule_fires_insert on schedule_fires for insert to :"app"
  with check (tenant_id = (select current_tenant_id()) and exists (
    select from schedules s where s.tenant_id = schedule_fires.tenant_id and s.id = schedule_fires.schedule_id
       and s.owner_id = (select current_user_id())));
create policy schedule_fires_update on schedule_fires for update to :"app"
  using (tenant_id = (select current_tenant_id()) and exists (
    select from schedules s where s.tenant_id = schedule_fires.tenant_id and s.id = schedule_fires.schedule_id
       and s.owner_id = (select current_user_id())))
  with check (tenant_id = (select current_tenant_id()) and exists (
    select from schedules s where s.tenant_id = schedule_fires.tenant_id and s.id = schedule_fires.schedule_id
       and s.owner_id = (select current_user_id())));
create policy schedule_fires_delete on schedule_fires for delete to :"app"
  using (tenant_id = (select current_tenant_id()) and exists (
    select from schedules s where s.tenant_id = schedule_fires.tenant_id and s.id = schedule_fires.schedule_id
       and s.owner_id = (select current_user_id())));

create policy system_all on schedules for select to :"system" using (true);
create policy system_all on schedule_fires for select to :"system" using (true);

grant select, insert, delete on schedules to :"app";
-- Which plan it belongs to can't be changed.
grant update (owner_id, plan_version, cron, every_seconds, at, timezone, anchor_at, starts_at, ends_at,
              overlap, catch_up, catch_up_seconds, jitter_seconds, input, status, error, next_fire_at,
              due_at, updated_at) on schedules to :"app";
grant select, insert, delete, update (outcome, execution_id, fired_at, reason) on schedule_fires to :"app";
grant select on schedules, schedule_fires to :"system";

-- Schedules that have something to do, and as whom: due by this database's clock, or with a time that
-- waited for the run before it, which has ended. Tenants take turns, so that a thousand due
-- schedules of one delay nobody else's first.
create function due_schedules(p_limit integer)
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

-- The runs of a schedule that haven't ended, whoever they run as: for its run-as user, nobody else is
-- shown a row.
create function unfinished_schedule_runs(p_schedule uuid) returns setof uuid
language sql stable security definer set search_path = pg_catalog, public, pg_temp
as $$
  select e.id
    from public.schedules s
    join public.schedule_fires f on f.tenant_id = s.tenant_id and f.schedule_id = s.id
    join public.executions e on e.tenant_id = f.tenant_id and e.id = f.execution_id
   where s.tenant_id = public.current_tenant_id() and s.owner_id = public.current_user_id()
     and s.id = p_schedule
     and e.status not in ('success', 'error', 'cancelled')
$$;

alter function due_schedules(integer) owner to :"system";
alter function unfinished_schedule_runs(uuid) owner to :"system";
revoke execute on function due_schedules(integer), unfinished_schedule_runs(uuid) from public;
grant execute on function due_schedules(integer), unfinished_schedule_runs(uuid) to :"app";
