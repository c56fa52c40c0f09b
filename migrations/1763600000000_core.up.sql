-- The core: tenants, users, keys, the plugin catalogue, plans, executions and their journal.
-- Placeholders :"owner", :"app" and :"system" are the roles of this installation (see docs/database.md).

-- Who asks. Set by withTenant for one transaction; an empty string is what a pooled connection
-- reads back after it, so it counts as nobody.
create function current_tenant_id() returns uuid language sql stable parallel safe
  as $$ select nullif(current_setting('app.tenant_id', true), '')::uuid $$;
create function current_user_id() returns uuid language sql stable parallel safe
  as $$ select nullif(current_setting('app.user_id', true), '')::uuid $$;
create function current_is_admin() returns boolean language sql stable parallel safe
  as $$ select coalesce(current_setting('app.role', true) = 'admin', false) $$;

-- One row that tells whether a host was given the right root key.
create table installation (
  id boolean constraint pk_installation primary key default true,
  key_check text not null,
  created_at timestamptz not null default now(),
  constraint ck_installation_single check (id)
);

create table tenants (
  id uuid constraint pk_tenants primary key,
  name text not null constraint uq_tenants_name unique,
  created_at timestamptz not null default now(),
  constraint ck_tenants_name check (length(name) between 1 and 200)
);

create table users (
  tenant_id uuid not null,
  id uuid not null,
  external_id text not null,
  name text not null,
  role text not null,
  is_operator boolean not null default false,
  created_at timestamptz not null default now(),
  constraint pk_users primary key (tenant_id, id),
  constraint uq_users_external_id unique (tenant_id, external_id),
  constraint fk_users_tenant foreign key (tenant_id) references tenants (id),
  constraint ck_users_role check (role in ('admin', 'user', 'viewer'))
);

create table api_keys (
  tenant_id uuid not null,
  id uuid not null,
  user_id uuid not null,
  name text not null,
  -- The first characters of the key, so that people tell theirs apart.
  prefix text not null,
  -- SHA-256 of the key in hex: it has 256 random bits, so no slow hash is needed.
  key_hash text not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  revoked_at timestamptz,
  constraint pk_api_keys primary key (tenant_id, id),
  constraint uq_api_keys_hash unique (tenant_id, key_hash),
  constraint fk_api_keys_user foreign key (tenant_id, user_id) references users (tenant_id, id)
);
create index ix_api_keys_hash on api_keys (key_hash);

-- The catalogue belongs to the installation; what a tenant may use of it is in tenant_plugins.
create table plugins (
  id text constraint pk_plugins primary key,
  -- The first package approved for an id keeps it.
  package text not null,
  origin text not null,
  created_at timestamptz not null default now(),
  constraint ck_plugins_origin check (origin in ('first_party', 'operator'))
);

create table plugin_bundles (
  digest text constraint pk_plugin_bundles primary key,
  source text not null,
  created_at timestamptz not null default now()
);

create table plugin_versions (
  -- Digest of the manifest, which holds the digest of the bundle.
  digest text constraint pk_plugin_versions primary key,
  plugin_id text not null,
  version text not null,
  manifest jsonb not null,
  bundle_digest text not null,
  -- The one that new saves of plans pin; older digests stay for plans that pinned them.
  is_current boolean not null,
  created_at timestamptz not null default now(),
  constraint fk_plugin_versions_plugin foreign key (plugin_id) references plugins (id),
  constraint fk_plugin_versions_bundle foreign key (bundle_digest) references plugin_bundles (digest)
);
create unique index uq_plugin_versions_current on plugin_versions (plugin_id, version) where is_current;

create table tenant_plugins (
  tenant_id uuid not null,
  plugin_id text not null,
  enabled boolean not null,
  updated_by uuid,
  updated_at timestamptz not null default now(),
  constraint pk_tenant_plugins primary key (tenant_id, plugin_id),
  constraint fk_tenant_plugins_tenant foreign key (tenant_id) references tenants (id),
  constraint fk_tenant_plugins_plugin foreign key (plugin_id) references plugins (id)
);

create table plans (
  tenant_id uuid not null,
  id uuid not null,
  owner_id uuid not null,
  name text not null,
  description text,
  original_prompt text,
  visibility text not null default 'private',
  version integer not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz,
  constraint pk_plans primary key (tenant_id, id),
  constraint fk_plans_tenant foreign key (tenant_id) references tenants (id),
  constraint fk_plans_owner foreign key (tenant_id, owner_id) references users (tenant_id, id),
  constraint ck_plans_visibility check (visibility in ('private', 'tenant'))
);
create index ix_plans_owner on plans (tenant_id, owner_id);

create table plan_versions (
  tenant_id uuid not null,
  plan_id uuid not null,
  version integer not null,
  -- As the author wrote them, each with its id.
  steps jsonb not null,
  -- What each step runs: step id -> plugin version and digest, fixed when the plan was saved.
  pins jsonb not null,
  created_by uuid not null,
  created_at timestamptz not null default now(),
  constraint pk_plan_versions primary key (tenant_id, plan_id, version),
  constraint fk_plan_versions_plan foreign key (tenant_id, plan_id) references plans (tenant_id, id)
);

-- Every host process that walks executions says each second that it lives.
create table hosts (
  id uuid constraint pk_hosts primary key,
  started_at timestamptz not null default now(),
  heartbeat_at timestamptz not null default now()
);

create table executions (
  tenant_id uuid not null,
  id uuid not null,
  plan_id uuid,
  plan_version integer,
  -- Steps and pins that the run walks: of a plan version, an inline plan or a single step.
  definition jsonb not null,
  -- The run-as user.
  owner_id uuid not null,
  visibility text not null,
  status text not null,
  trigger text not null,
  input jsonb not null,
  output jsonb,
  error jsonb,
  idempotency_key text,
  request_hash text,
  -- The lease: who walks it, fenced by an epoch that each takeover and each cancel raises.
  host_id uuid,
  lease_epoch integer not null default 0,
  created_at timestamptz not null default now(),
  started_at timestamptz,
  finished_at timestamptz,
  constraint pk_executions primary key (tenant_id, id),
  constraint fk_executions_tenant foreign key (tenant_id) references tenants (id),
  constraint fk_executions_plan foreign key (tenant_id, plan_id) references plans (tenant_id, id),
  constraint fk_executions_owner foreign key (tenant_id, owner_id) references users (tenant_id, id),
  constraint ck_executions_visibility check (visibility in ('private', 'tenant')),
  constraint ck_executions_status check (status in ('queued', 'running', 'waiting', 'paused', 'success', 'error', 'cancelled'))
);
create unique index uq_executions_idempotency_key on executions (tenant_id, owner_id, idempotency_key)
  where idempotency_key is not null;
create index ix_executions_plan on executions (tenant_id, plan_id, id);
create index ix_executions_unfinished on executions (created_at) where status in ('queued', 'running');

-- The journal: one row per attempt. `started` is the intent of a step with an effect, written
-- before the effect; `skipped` a step whose condition was false. The API hides both.
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
  constraint pk_execution_logs primary key (tenant_id, id),
  constraint uq_execution_logs_attempt unique (tenant_id, execution_id, step_id, iteration, attempt),
  constraint fk_execution_logs_execution foreign key (tenant_id, execution_id) references executions (tenant_id, id),
  constraint ck_execution_logs_visibility check (visibility in ('private', 'tenant')),
  constraint ck_execution_logs_status check (status in ('started', 'success', 'error', 'skipped'))
);
create index ix_execution_logs_plan on execution_logs (tenant_id, plan_id, id);

-- Row-level security, also for the owner. Policies read the settings inside (select ...), which
-- the planner evaluates once per statement instead of once per row.
alter table tenants enable row level security;
alter table tenants force row level security;
create policy tenant_read on tenants for select to :"app"
  using (id = (select current_tenant_id()));

alter table users enable row level security;
alter table users force row level security;
create policy users_read on users for select to :"app"
  using (tenant_id = (select current_tenant_id()));
create policy users_insert on users for insert to :"app"
  with check (tenant_id = (select current_tenant_id()) and (select current_is_admin()) and not is_operator);
create policy users_update on users for update to :"app"
  using (tenant_id = (select current_tenant_id()) and (select current_is_admin()))
  with check (tenant_id = (select current_tenant_id()) and (select current_is_admin()) and not is_operator);
create policy users_delete on users for delete to :"app"
  using (tenant_id = (select current_tenant_id()) and (select current_is_admin()));

alter table api_keys enable row level security;
alter table api_keys force row level security;
create policy api_keys_read on api_keys for select to :"app"
  using (tenant_id = (select current_tenant_id())
    and (user_id = (select current_user_id()) or (select current_is_admin())));
-- An admin makes keys for members, but not one that carries an operator's rights.
create policy api_keys_insert on api_keys for insert to :"app"
  with check (tenant_id = (select current_tenant_id())
    and (user_id = (select current_user_id()) or ((select current_is_admin()) and not exists (
      select from users u where u.tenant_id = api_keys.tenant_id and u.id = api_keys.user_id and u.is_operator))));
create policy api_keys_update on api_keys for update to :"app"
  using (tenant_id = (select current_tenant_id())
    and (user_id = (select current_user_id()) or (select current_is_admin())))
  with check (tenant_id = (select current_tenant_id())
    and (user_id = (select current_user_id()) or ((select current_is_admin()) and not exists (
      select from users u where u.tenant_id = api_keys.tenant_id and u.id = api_keys.user_id and u.is_operator))));
create policy api_keys_delete on api_keys for delete to :"app"
  using (tenant_id = (select current_tenant_id())
    and (user_id = (select current_user_id()) or (select current_is_admin())));

alter table tenant_plugins enable row level security;
alter table tenant_plugins force row level security;
create policy tenant_plugins_read on tenant_plugins for select to :"app"
  using (tenant_id = (select current_tenant_id()));
create policy tenant_plugins_insert on tenant_plugins for insert to :"app"
  with check (tenant_id = (select current_tenant_id()) and (select current_is_admin()));
create policy tenant_plugins_update on tenant_plugins for update to :"app"
  using (tenant_id = (select current_tenant_id()) and (select current_is_admin()))
  with check (tenant_id = (select current_tenant_id()) and (select current_is_admin()));
create policy tenant_plugins_delete on tenant_plugins for delete to :"app"
  using (tenant_id = (select current_tenant_id()) and (select current_is_admin()));

alter table plans enable row level security;
alter table plans force row level security;
create policy plans_read on plans for select to :"app"
  using (tenant_id = (select current_tenant_id())
    and (visibility = 'tenant' or owner_id = (select current_user_id()) or (select current_is_admin())));
create policy plans_insert on plans for insert to :"app"
  with check (tenant_id = (select current_tenant_id())
    and (owner_id = (select current_user_id()) or (select current_is_admin())));
create policy plans_update on plans for update to :"app"
  using (tenant_id = (select current_tenant_id())
    and (owner_id = (select current_user_id()) or (select current_is_admin())))
  with check (tenant_id = (select current_tenant_id())
    and (owner_id = (select current_user_id()) or (select current_is_admin())));
create policy plans_delete on plans for delete to :"app"
  using (tenant_id = (select current_tenant_id())
    and (owner_id = (select current_user_id()) or (select current_is_admin())));

-- A version is visible with its plan; the subquery runs under the policies of plans.
alter table plan_versions enable row level security;
alter table plan_versions force row level security;
create policy plan_versions_read on plan_versions for select to :"app"
  using (tenant_id = (select current_tenant_id())
    and exists (select from plans p where p.tenant_id = plan_versions.tenant_id and p.id = plan_versions.plan_id));
create policy plan_versions_insert on plan_versions for insert to :"app"
  with check (tenant_id = (select current_tenant_id()) and created_by = (select current_user_id())
    and exists (select from plans p where p.tenant_id = plan_versions.tenant_id and p.id = plan_versions.plan_id
      and (p.owner_id = (select current_user_id()) or (select current_is_admin()))));
-- Versions are history: nothing updates or deletes them.

alter table executions enable row level security;
alter table executions force row level security;
create policy executions_read on executions for select to :"app"
  using (tenant_id = (select current_tenant_id())
    and (visibility = 'tenant' or owner_id = (select current_user_id()) or (select current_is_admin())));
create policy executions_insert on executions for insert to :"app"
  with check (tenant_id = (select current_tenant_id())
    and (owner_id = (select current_user_id()) or (select current_is_admin())));
create policy executions_update on executions for update to :"app"
  using (tenant_id = (select current_tenant_id())
    and (owner_id = (select current_user_id()) or (select current_is_admin())))
  with check (tenant_id = (select current_tenant_id())
    and (owner_id = (select current_user_id()) or (select current_is_admin())));
create policy executions_delete on executions for delete to :"app"
  using (tenant_id = (select current_tenant_id()) and (select current_is_admin()));

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

-- What belongs to the installation: read by every host, written through the functions below.
alter table installation enable row level security;
alter table installation force row level security;
create policy installation_owner on installation for all to :"owner" using (true) with check (true);
alter table plugins enable row level security;
alter table plugins force row level security;
create policy plugins_read on plugins for select to :"app" using (true);
alter table plugin_bundles enable row level security;
alter table plugin_bundles force row level security;
create policy plugin_bundles_read on plugin_bundles for select to :"app" using (true);
alter table plugin_versions enable row level security;
alter table plugin_versions force row level security;
create policy plugin_versions_read on plugin_versions for select to :"app" using (true);
alter table hosts enable row level security;
alter table hosts force row level security;

-- The system role owns the functions that must look across tenants, and nothing else.
create policy system_all on tenants for all to :"system" using (true) with check (true);
create policy system_all on users for all to :"system" using (true) with check (true);
create policy system_all on api_keys for all to :"system" using (true) with check (true);
create policy system_all on plugins for all to :"system" using (true) with check (true);
create policy system_all on plugin_bundles for all to :"system" using (true) with check (true);
create policy system_all on plugin_versions for all to :"system" using (true) with check (true);
create policy system_all on tenant_plugins for all to :"system" using (true) with check (true);
create policy system_all on hosts for all to :"system" using (true) with check (true);
create policy system_all on executions for all to :"system" using (true) with check (true);

grant select, insert, update on tenants, users, api_keys, plugins, plugin_bundles, plugin_versions, tenant_plugins to :"system";
grant select, insert, update, delete on hosts to :"system";
grant select, update on executions to :"system";
grant select on tenants, plugins, plugin_bundles, plugin_versions to :"app";
grant select, insert, update, delete on users, api_keys, tenant_plugins, plans, executions, execution_logs to :"app";
grant select, insert on plan_versions to :"app";

-- Look-up before a tenant is known. Takes the SHA-256 of a key in hex.
create function authenticate(p_key_hash text)
returns table (tenant_id uuid, tenant_name text, user_id uuid, external_id text, role text, is_operator boolean)
language sql stable security definer set search_path = pg_catalog, public, pg_temp
as $$
  select u.tenant_id, t.name, u.id, u.external_id, u.role, u.is_operator
    from public.api_keys k
    join public.users u on u.tenant_id = k.tenant_id and u.id = k.user_id
    join public.tenants t on t.id = k.tenant_id
   where k.key_hash = p_key_hash
     and k.revoked_at is null
     and (k.expires_at is null or k.expires_at > now())
$$;

-- A tenant, its first admin and that admin's key, all or nothing. False: the name is taken.
create function create_tenant(p jsonb) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  insert into public.tenants (id, name) values ((p->>'tenant_id')::uuid, p->>'name')
    on conflict (name) do nothing;
  if not found then
    return false;
  end if;
  insert into public.users (tenant_id, id, external_id, name, role, is_operator)
    values ((p->>'tenant_id')::uuid, (p->>'user_id')::uuid, p->>'external_id', p->>'user_name', 'admin',
            -- The first start makes the one operator; nobody becomes one through this later.
            coalesce((p->>'is_operator')::boolean, false) and not exists (select from public.users where is_operator));
  insert into public.api_keys (tenant_id, id, user_id, name, prefix, key_hash)
    values ((p->>'tenant_id')::uuid, (p->>'key_id')::uuid, (p->>'user_id')::uuid, p->>'key_name', p->>'key_prefix', p->>'key_hash');
  return true;
end
$$;

create function list_tenants(p_after uuid, p_limit integer)
returns table (id uuid, name text, created_at timestamptz)
language sql stable security definer set search_path = pg_catalog, public, pg_temp
as $$
  select t.id, t.name, t.created_at from public.tenants t
   where p_after is null or t.id < p_after
   order by t.id desc limit p_limit
$$;

-- Stores one verified version and makes it the current one of its number.
-- Null: it was stored. Else the package that holds the id, and nothing was stored.
create function register_plugin(p jsonb, p_source text) returns text
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
declare
  v_package text;
  v_origin text;
begin
  insert into public.plugins (id, package, origin)
    values (p->>'plugin_id', p->>'package', p->>'origin') on conflict (id) do nothing;
  select package, origin into v_package, v_origin from public.plugins where id = p->>'plugin_id' for update;
  -- A package's name is what it says of itself: what an operator lists never becomes first-party.
  if v_package <> p->>'package' or v_origin <> p->>'origin' then
    return v_package || ' (' || v_origin || ')';
  end if;
  insert into public.plugin_bundles (digest, source) values (p->>'bundle_digest', p_source)
    on conflict (digest) do nothing;
  update public.plugin_versions set is_current = false
   where plugin_id = p->>'plugin_id' and version = p->>'version' and is_current and digest <> p->>'digest';
  insert into public.plugin_versions (digest, plugin_id, version, manifest, bundle_digest, is_current)
    values (p->>'digest', p->>'plugin_id', p->>'version', p->'manifest', p->>'bundle_digest', true)
    on conflict (digest) do update set is_current = true;
  return null;
end
$$;

-- The operator's own tenant gets what the operator lists at start; its admin may still turn it off.
create function enable_plugin_by_default(p_tenant_name text, p_plugin_id text) returns void
language sql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
  insert into public.tenant_plugins (tenant_id, plugin_id, enabled)
    select t.id, p_plugin_id, true from public.tenants t where t.name = p_tenant_name
    on conflict (tenant_id, plugin_id) do nothing
$$;

-- Says that a host lives, and tells which of its runs were taken from it or cancelled elsewhere.
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

create function remove_host(p_host uuid) returns void
language sql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$ delete from public.hosts where id = p_host $$;

-- Leases up to p_limit runs to a host, oldest first: queued ones, running ones whose host has died,
-- and its own that it walks no more (p_held are those it does). Raising the epoch fences off whoever
-- held them. Rows of hosts that died without a run go after an hour.
create function claim_executions(p_host uuid, p_limit integer, p_held uuid[])
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

-- Only the system role may own what runs with its rights; only the app may call it.
alter function authenticate(text) owner to :"system";
alter function create_tenant(jsonb) owner to :"system";
alter function list_tenants(uuid, integer) owner to :"system";
alter function register_plugin(jsonb, text) owner to :"system";
alter function enable_plugin_by_default(text, text) owner to :"system";
alter function heartbeat(uuid, uuid[]) owner to :"system";
alter function remove_host(uuid) owner to :"system";
alter function claim_executions(uuid, integer, uuid[]) owner to :"system";

revoke execute on function authenticate(text), create_tenant(jsonb), list_tenants(uuid, integer),
  register_plugin(jsonb, text), enable_plugin_by_default(text, text), heartbeat(uuid, uuid[]),
  remove_host(uuid), claim_executions(uuid, integer, uuid[]) from public;
grant execute on function authenticate(text), create_tenant(jsonb), list_tenants(uuid, integer),
  register_plugin(jsonb, text), enable_plugin_by_default(text, text), heartbeat(uuid, uuid[]),
  remove_host(uuid), claim_executions(uuid, integer, uuid[]) to :"app";
