-- The journal in one table again. Rows whose execution is gone, in a week that was not dropped yet, go.
drop function sweep_log_week(date, integer, integer), drop_log_week(date, integer), expired_log_weeks(integer),
  expire_executions(uuid, integer, uuid, integer), tenants_to_expire(integer),
  retention_cutoff(integer, integer, timestamptz), retention_horizon(integer);

-- As before this migration (see the migration of work).
drop function set_tenant_share(uuid, integer, integer, integer);
create function set_tenant_share(p_tenant uuid, p_weight integer, p_max_running integer) returns void
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  if not exists (
    select from public.users u
     where u.tenant_id = public.current_tenant_id() and u.id = public.current_user_id() and u.is_operator
  ) then
    raise insufficient_privilege using message = 'only an operator sets the share of a tenant';
  end if;
  insert into public.tenant_shares (tenant_id, weight, max_running) values (p_tenant, p_weight, p_max_running)
    on conflict (tenant_id) do update
      set weight = excluded.weight, max_running = excluded.max_running, updated_at = now();
end
$$;
alter function set_tenant_share(uuid, integer, integer) owner to :"system";
revoke execute on function set_tenant_share(uuid, integer, integer) from public;
grant execute on function set_tenant_share(uuid, integer, integer) to :"app";
alter table tenant_shares drop column log_retention_days;

revoke delete on executions from :"system";
drop index ix_executions_status, ix_executions_origin;
alter table executions
  drop constraint fk_executions_origin,
  drop constraint fk_executions_parent,
  add constraint fk_executions_origin foreign key (tenant_id, origin_id) references executions (tenant_id, id),
  add constraint fk_executions_parent foreign key (tenant_id, parent_id) references executions (tenant_id, id);

alter table execution_logs rename to execution_logs_parted;
alter table execution_logs_parted drop constraint pk_execution_logs;
drop index ix_execution_logs_newest, ix_execution_logs_plan, ix_execution_logs_provider;
create table execution_logs (
  tenant_id uuid not null,
  id uuid not null,
  execution_id uuid not null,
  plan_id uuid,
  owner_id uuid not null,
  visibility text not null,
  step_id text not null,
  iteration integer not null default 0,
  attempt integer not null,
  provider text not null,
  action text not null,
  version text not null,
  status text not null,
  input jsonb,
  output jsonb,
  message text,
  metadata jsonb,
  error jsonb,
  latency_ms integer,
  started_at timestamptz not null,
  finished_at timestamptz,
  input_blob uuid,
  output_blob uuid,
  constraint pk_execution_logs primary key (tenant_id, id),
  constraint uq_execution_logs_attempt unique (tenant_id, execution_id, step_id, iteration, attempt),
  constraint ck_execution_logs_visibility check (visibility in ('private', 'tenant')),
  constraint ck_execution_logs_status check (status in ('started', 'waiting', 'success', 'error', 'skipped'))
);
-- The owner sees no rows of a table with forced row-level security.
alter table execution_logs_parted no force row level security;
alter table executions no force row level security;
insert into execution_logs (
       tenant_id, id, execution_id, plan_id, owner_id, visibility, step_id, iteration, attempt, provider, action,
       version, status, input, output, message, metadata, error, latency_ms, started_at, finished_at, input_blob,
       output_blob)
select l.tenant_id, l.id, l.execution_id, l.plan_id, l.owner_id, l.visibility, l.step_id, l.iteration, l.attempt,
       l.provider, l.action, l.version, l.status, l.input, l.output, l.message, l.metadata, l.error, l.latency_ms,
       l.started_at, l.finished_at, l.input_blob, l.output_blob
  from execution_logs_parted l
  join executions e on e.tenant_id = l.tenant_id and e.id = l.execution_id;
alter table executions force row level security;
drop table execution_logs_parted;
drop schema partitions;
drop function make_log_weeks(), make_log_week(date), log_weeks(), log_week_name(date), first_id_of_week(date),
  log_week_of(timestamptz), first_id_at(timestamptz);
alter table execution_logs
  add constraint fk_execution_logs_execution foreign key (tenant_id, execution_id) references executions (tenant_id, id);
create index ix_execution_logs_plan on execution_logs (tenant_id, plan_id, id);

alter table execution_logs enable row level security;
alter table execution_logs force row level security;
create policy execution_logs_read on execution_logs for select to :"app"
  using (tenant_id = (select current_tenant_id())
    and (visibility = 'tenant' or owner_id = (select current_user_id()) or (select current_is_admin())));
create policy execution_logs_insert on execution_logs for insert to :"app"
  with check (tenant_id = (select current_tenant_id())
    and (owner_id = (select current_user_id()) or (select current_is_admin())));
create policy execution_logs_update on execution_logs for update to :"app"
  using (tenant_id = (select current_tenant_id())
    and (owner_id = (select current_user_id()) or (select current_is_admin())))
  with check (tenant_id = (select current_tenant_id())
    and (owner_id = (select current_user_id()) or (select current_is_admin())));
create policy execution_logs_delete on execution_logs for delete to :"app"
  using (tenant_id = (select current_tenant_id()) and (select current_is_admin()));
create policy system_all on execution_logs for all to :"system" using (true) with check (true);
grant select, delete, update (status, error, message, finished_at) on execution_logs to :"app";
grant select, insert, update on execution_logs to :"system";
