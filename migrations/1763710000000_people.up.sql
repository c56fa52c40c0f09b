-- People: users that can be turned off, keys with fewer permissions than their user, sessions.

alter table users add column disabled_at timestamptz;

-- Null: all that the user has. What is listed is cut by what the user has whenever the key is used.
alter table api_keys add column permissions text[];
alter table api_keys add constraint ck_api_keys_permissions check (cardinality(permissions) > 0);

-- A session token says who it is; the row decides whether it still counts.
create table sessions (
  tenant_id uuid not null,
  id uuid not null,
  user_id uuid not null,
  -- The key that it was begun with: its permissions hold, and the session ends with it.
  api_key_id uuid not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  revoked_at timestamptz,
  constraint pk_sessions primary key (tenant_id, id),
  constraint fk_sessions_user foreign key (tenant_id, user_id) references users (tenant_id, id),
  constraint fk_sessions_api_key foreign key (tenant_id, api_key_id) references api_keys (tenant_id, id)
);
create index ix_sessions_id on sessions (id);
create index ix_sessions_user on sessions (tenant_id, user_id);
create index ix_sessions_api_key on sessions (tenant_id, api_key_id);

alter table sessions enable row level security;
alter table sessions force row level security;
create policy sessions_read on sessions for select to :"app"
  using (tenant_id = (select current_tenant_id())
    and (user_id = (select current_user_id()) or (select current_is_admin())));
create policy sessions_insert on sessions for insert to :"app"
  with check (tenant_id = (select current_tenant_id()) and user_id = (select current_user_id()));
-- The one change is to revoke it: what has ended stays so.
create policy sessions_update on sessions for update to :"app"
  using (tenant_id = (select current_tenant_id())
    and (user_id = (select current_user_id()) or (select current_is_admin())))
  with check (tenant_id = (select current_tenant_id()) and revoked_at is not null
    and (user_id = (select current_user_id()) or (select current_is_admin())));
create policy sessions_delete on sessions for delete to :"app"
  using (tenant_id = (select current_tenant_id())
    and (user_id = (select current_user_id()) or (select current_is_admin())));
create policy system_all on sessions for select to :"system" using (true);
grant select, insert, delete, update (revoked_at) on sessions to :"app";
grant select on sessions to :"system";

-- Who a user is, whose a key is and what it may do are settled when they are made; no request
-- changes them, and none makes an operator. Both are turned off, never deleted: the audit log names
-- them.
revoke update, delete on users, api_keys from :"app";
grant update (name, role, disabled_at) on users to :"app";
grant update (revoked_at) on api_keys to :"app";

-- Nor does one make a revoked key work again.
drop policy api_keys_update on api_keys;
create policy api_keys_update on api_keys for update to :"app"
  using (tenant_id = (select current_tenant_id())
    and (user_id = (select current_user_id()) or (select current_is_admin())))
  with check (tenant_id = (select current_tenant_id()) and revoked_at is not null
    and (user_id = (select current_user_id()) or ((select current_is_admin()) and not exists (
      select from users u where u.tenant_id = api_keys.tenant_id and u.id = api_keys.user_id and u.is_operator))));

-- An operator user is changed by himself alone.
drop policy users_update on users;
create policy users_update on users for update to :"app"
  using (tenant_id = (select current_tenant_id()) and (select current_is_admin())
    and (not is_operator or id = (select current_user_id())))
  with check (tenant_id = (select current_tenant_id()) and (select current_is_admin())
    and (not is_operator or id = (select current_user_id())));

-- Look-up before a tenant is known: by the SHA-256 of a key in hex, or by the id of a session whose
-- token was verified. `refusal` says why the proof counts no more; no row: nobody knows it.
drop function authenticate(text);
create function authenticate(p_key_hash text, p_session uuid)
returns table (tenant_id uuid, tenant_name text, user_id uuid, external_id text, role text,
               is_operator boolean, api_key_id uuid, session_id uuid, key_permissions text[],
               expires_at timestamptz, refusal text)
language sql stable security definer set search_path = pg_catalog, public, pg_temp
as $$
  with proof as (
    select k.tenant_id, k.user_id, k.id as api_key_id, null::uuid as session_id, k.permissions,
           k.expires_at, k.revoked_at
      from public.api_keys k
     where k.key_hash = p_key_hash
    union all
    select s.tenant_id, s.user_id, s.api_key_id, s.id, k.permissions,
           least(s.expires_at, k.expires_at), coalesce(s.revoked_at, k.revoked_at)
      from public.sessions s
      join public.api_keys k on k.tenant_id = s.tenant_id and k.id = s.api_key_id and k.user_id = s.user_id
     where s.id = p_session
  )
  select u.tenant_id, t.name, u.id, u.external_id, u.role, u.is_operator, p.api_key_id,
         p.session_id, p.permissions, p.expires_at,
         case when p.revoked_at is not null then 'revoked'
              when p.expires_at <= now() then 'expired'
              when u.disabled_at is not null then 'disabled' end
    from proof p
    join public.users u on u.tenant_id = p.tenant_id and u.id = p.user_id
    join public.tenants t on t.id = p.tenant_id
$$;
alter function authenticate(text, uuid) owner to :"system";
revoke execute on function authenticate(text, uuid) from public;
grant execute on function authenticate(text, uuid) to :"app";
