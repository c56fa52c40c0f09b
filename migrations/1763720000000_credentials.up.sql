-- The vault: data keys of tenants, wrapped under the root key, and the credentials sealed with them.

create table tenant_keys (
  tenant_id uuid not null,
  version integer not null,
  -- Which root key wraps it: a fingerprint, not the key.
  root_key_id text not null,
  wrapped_key bytea not null,
  created_at timestamptz not null default now(),
  constraint pk_tenant_keys primary key (tenant_id, version),
  constraint fk_tenant_keys_tenant foreign key (tenant_id) references tenants (id),
  constraint ck_tenant_keys_version check (version > 0)
);

create table credentials (
  tenant_id uuid not null,
  id uuid not null,
  provider text not null,
  -- Id of the credential type in the plugin's manifest.
  type text not null,
  name text not null,
  scope text not null,
  -- Whose it is; of a shared one, the admin who made it.
  owner_id uuid not null,
  -- Values that aren't secret, by field.
  fields jsonb not null,
  -- Nonce, ciphertext and tag, by field.
  secrets jsonb not null,
  -- What of each secret is shown, by field.
  masked jsonb not null,
  -- The only places that its secrets are sent to.
  hosts text[] not null,
  -- Of all its secrets. The foreign key keeps a data key for as long as a row needs it.
  key_version integer not null,
  -- Raised by each change, so that a slower one can tell that it comes too late.
  revision integer not null default 1,
  expires_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint pk_credentials primary key (tenant_id, id),
  constraint fk_credentials_owner foreign key (tenant_id, owner_id) references users (tenant_id, id),
  constraint fk_credentials_key foreign key (tenant_id, key_version) references tenant_keys (tenant_id, version),
  constraint ck_credentials_scope check (scope in ('user', 'tenant')),
  constraint ck_credentials_name check (length(name) between 1 and 100)
);
create unique index uq_credentials_user on credentials (tenant_id, provider, owner_id, name) where scope = 'user';
create unique index uq_credentials_tenant on credentials (tenant_id, provider, name) where scope = 'tenant';
create index ix_credentials_key on credentials (tenant_id, key_version);

-- The first key of a tenant is made by whoever stores its first credential; the next ones come with
-- a rotation. Nothing changes or deletes one.
alter table tenant_keys enable row level security;
alter table tenant_keys force row level security;
create policy tenant_keys_read on tenant_keys for select to :"app"
  using (tenant_id = (select current_tenant_id()));
create policy tenant_keys_insert on tenant_keys for insert to :"app"
  with check (tenant_id = (select current_tenant_id()) and version = 1);

-- Private ones are their owner's alone: not even a tenant's admins see them.
alter table credentials enable row level security;
alter table credentials force row level security;
create policy credentials_read on credentials for select to :"app"
  using (tenant_id = (select current_tenant_id())
    and (scope = 'tenant' or owner_id = (select current_user_id())));
create policy credentials_insert on credentials for insert to :"app"
  with check (tenant_id = (select current_tenant_id())
    and owner_id = (select current_user_id())
    and (scope = 'user' or (select current_is_admin())));
create policy credentials_update on credentials for update to :"app"
  using (tenant_id = (select current_tenant_id())
    and case scope when 'user' then owner_id = (select current_user_id()) else (select current_is_admin()) end)
  with check (tenant_id = (select current_tenant_id())
    and case scope when 'user' then owner_id = (select current_user_id()) else (select current_is_admin()) end);
create policy credentials_delete on credentials for delete to :"app"
  using (tenant_id = (select current_tenant_id())
    and case scope when 'user' then owner_id = (select current_user_id()) else (select current_is_admin()) end);

create policy system_all on tenant_keys for all to :"system" using (true) with check (true);
create policy credentials_system on credentials for select to :"system" using (true);
create policy credentials_plans_system on plans for select to :"system" using (true);
create policy credentials_plan_versions_system on plan_versions for select to :"system" using (true);

grant select, insert on tenant_keys to :"app";
grant select, insert, delete on credentials to :"app";
-- What says whose a credential is, and for what, can't be changed at all.
grant update (type, fields, secrets, masked, hosts, key_version, revision, expires_at, updated_at)
  on credentials to :"app";
grant select, insert on tenant_keys to :"system";
grant select on credentials, plans, plan_versions to :"system";

-- The credential that a step of a saved plan binds by id, for whoever runs the plan: only while the
-- caller runs that very version as himself, may see the plan, which is still there, and its author is
-- the credential's owner, who is still around. A run walks what its own row says: that has to be what
-- the author wrote, by the code that he chose. Any edit by somebody else makes another version, with
-- another author.
create function bound_credential(p_execution uuid, p_step text) returns setof credentials
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

-- Whether the caller is one who may look at the keys of all tenants and add to them.
create function is_key_operator() returns boolean
language sql stable security definer set search_path = pg_catalog, public, pg_temp
as $$
  select exists (
    select from public.users u
     where u.tenant_id = public.current_tenant_id() and u.id = public.current_user_id()
       and u.is_operator and u.disabled_at is null)
$$;

-- For operators, nobody else is shown a row: every version of every tenant's data key, and how many
-- credentials need it.
create function list_encryption_keys()
returns table (tenant_id uuid, tenant_name text, version integer, root_key_id text,
               created_at timestamptz, is_current boolean, credentials integer)
language sql stable security definer set search_path = pg_catalog, public, pg_temp
as $$
  select k.tenant_id, t.name, k.version, k.root_key_id, k.created_at,
         k.version = max(k.version) over (partition by k.tenant_id),
         (select count(*)::int from public.credentials c
           where c.tenant_id = k.tenant_id and c.key_version = k.version)
    from public.tenant_keys k join public.tenants t on t.id = k.tenant_id
   where public.is_key_operator()
   order by t.name, k.version desc
$$;

-- For operators, too: every tenant, or the one with this id or name, and its newest key; null: it has
-- none yet.
create function list_key_holders(p_tenant text)
returns table (tenant_id uuid, tenant_name text, version integer)
language sql stable security definer set search_path = pg_catalog, public, pg_temp
as $$
  select t.id, t.name, (select max(k.version) from public.tenant_keys k where k.tenant_id = t.id)
    from public.tenants t
   where (p_tenant is null or t.id::text = lower(p_tenant) or t.name = p_tenant)
     and public.is_key_operator()
   order by t.id::text = lower(p_tenant) desc, t.name
$$;

-- Whoever seals with the current key holds this lock in shared mode until the row is stored, so that
-- after a new version no row comes in under an old one unseen.
create function tenant_key_lock(p_tenant uuid) returns bigint language sql immutable parallel safe
  as $$ select hashtextextended('tenant_keys ' || p_tenant::text, 0) $$;

-- The next version of a tenant's key; only for an operator, since one that can't be unwrapped would lock
-- the tenant out of storing anything. False: another rotation was faster.
create function add_tenant_key(p_tenant uuid, p_version integer, p_root_key_id text, p_wrapped_key bytea)
returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  if not public.is_key_operator() then
    raise insufficient_privilege using message = 'only an operator adds a key to a tenant';
  end if;
  perform pg_advisory_xact_lock(public.tenant_key_lock(p_tenant));
  insert into public.tenant_keys (tenant_id, version, root_key_id, wrapped_key)
    values (p_tenant, p_version, p_root_key_id, p_wrapped_key)
    on conflict (tenant_id, version) do nothing;
  return found;
end
$$;

-- Credentials that aren't sealed with their tenant's newest key. No content: whoever seals them anew
-- does so as their owner.
create function list_stale_credentials(p_after uuid, p_limit integer)
returns table (tenant_id uuid, id uuid, owner_id uuid, scope text)
language sql stable security definer set search_path = pg_catalog, public, pg_temp
as $$
  select c.tenant_id, c.id, c.owner_id, c.scope
    from public.credentials c
   where (p_after is null or c.id > p_after)
     and c.key_version < (select max(k.version) from public.tenant_keys k where k.tenant_id = c.tenant_id)
   order by c.id
   limit p_limit
$$;

alter function bound_credential(uuid, text) owner to :"system";
alter function is_key_operator() owner to :"system";
alter function list_encryption_keys() owner to :"system";
alter function list_key_holders(text) owner to :"system";
alter function add_tenant_key(uuid, integer, text, bytea) owner to :"system";
alter function list_stale_credentials(uuid, integer) owner to :"system";
revoke execute on function bound_credential(uuid, text), is_key_operator(), list_encryption_keys(),
  list_key_holders(text), add_tenant_key(uuid, integer, text, bytea),
  list_stale_credentials(uuid, integer) from public;
grant execute on function bound_credential(uuid, text), list_encryption_keys(), list_key_holders(text),
  add_tenant_key(uuid, integer, text, bytea), list_stale_credentials(uuid, integer) to :"app";

-- What a run walks is fixed when it starts: nobody puts other steps into a run that may use what its
-- plan's author bound.
revoke update on executions from :"app";
grant update (status, output, error, host_id, lease_epoch, started_at, finished_at) on executions to :"app";
