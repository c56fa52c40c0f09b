-- Webhooks: addresses at which anybody who knows them begins a plan.

create table webhooks (
  tenant_id uuid not null,
  id uuid not null,
  plan_id uuid not null,
  -- The run-as user: who made it.
  owner_id uuid not null,
  -- The version of the plan that he made it for.
  plan_version integer not null,
  -- What follows /api/webhook/.
  path text not null,
  respond text not null,
  created_at timestamptz not null default now(),
  constraint pk_webhooks primary key (tenant_id, id),
  -- Without the tenant: a call names nobody, its path alone says whose it is.
  constraint uq_webhooks_path unique (path),
  constraint fk_webhooks_plan foreign key (tenant_id, plan_id) references plans (tenant_id, id),
  constraint fk_webhooks_owner foreign key (tenant_id, owner_id) references users (tenant_id, id),
  constraint ck_webhooks_path check (length(path) between 1 and 200),
  constraint ck_webhooks_respond check (respond in ('ack', 'last_step'))
);
create index ix_webhooks_plan on webhooks (tenant_id, plan_id, id);

-- Seen with its plan, made and deleted by who may edit that. Whoever makes it is who it runs as, and
-- nothing of it is ever changed.
alter table webhooks enable row level security;
alter table webhooks force row level security;
create policy webhooks_read on webhooks for select to :"app"
  using (tenant_id = (select current_tenant_id()) and exists (
    select from plans p where p.tenant_id = webhooks.tenant_id and p.id = webhooks.plan_id));
create policy webhooks_insert on webhooks for insert to :"app"
  with check (tenant_id = (select current_tenant_id()) and owner_id = (select current_user_id())
    and exists (
      select from plans p where p.tenant_id = webhooks.tenant_id and p.id = webhooks.plan_id
         and (p.owner_id = (select current_user_id()) or (select current_is_admin()))));
create policy webhooks_update on webhooks for update to :"app" using (false) with check (false);
create policy webhooks_delete on webhooks for delete to :"app"
  using (tenant_id = (select current_tenant_id()) and exists (
    select from plans p where p.tenant_id = webhooks.tenant_id and p.id = webhooks.plan_id
       and (p.owner_id = (select current_user_id()) or (select current_is_admin()))));
create policy system_all on webhooks for select to :"system" using (true);

grant select, insert, delete on webhooks to :"app";
grant select on webhooks to :"system";

-- What decides about calls to some paths, before any tenant is known: one row for each path that is
-- there. One statement answers all calls that wait just now. Each look-up stands behind a limit, so that no
-- plan made while the tables were small reads them whole later.
create function resolve_webhooks(p_paths text[])
returns table (path text, webhook_id uuid, respond text, enabled_version integer, tenant_id uuid,
               tenant_name text, owner_id uuid, owner_external_id text, owner_role text,
               owner_is_operator boolean, owner_is_disabled boolean, plan_id uuid, plan_owner_id uuid,
               visibility text, plan_is_deleted boolean, version integer, author_id uuid,
               author_is_admin boolean)
language plpgsql stable security definer set search_path = pg_catalog, public, pg_temp
  set enable_seqscan = off set jit = off
as $$
#variable_conflict use_column
begin
  return query
    select w.path, w.id, w.respond, w.plan_version, w.tenant_id, t.name, w.owner_id, u.external_id, u.role,
           u.is_operator, u.disabled_at is not null, w.plan_id, p.owner_id, p.visibility,
           p.deleted_at is not null, p.version, v.created_by,
           coalesce(a.role = 'admin' and a.disabled_at is null, false)
      from unnest(p_paths) as asked (path)
     cross join lateral (
       select * from public.webhooks w where w.path = asked.path limit 1) w
     cross join lateral (
       select * from public.tenants t where t.id = w.tenant_id limit 1) t
     cross join lateral (
       select * from public.users u where u.tenant_id = w.tenant_id and u.id = w.owner_id limit 1) u
     cross join lateral (
       select * from public.plans p where p.tenant_id = w.tenant_id and p.id = w.plan_id limit 1) p
     cross join lateral (
       select v.created_by from public.plan_versions v
        where v.tenant_id = w.tenant_id and v.plan_id = w.plan_id and v.version = p.version limit 1) v
      left join lateral (
       select * from public.users a where a.tenant_id = w.tenant_id and a.id = v.created_by limit 1) a on true;
end
$$;

alter function resolve_webhooks(text[]) owner to :"system";
revoke execute on function resolve_webhooks(text[]) from public;
grant execute on function resolve_webhooks(text[]) to :"app";
