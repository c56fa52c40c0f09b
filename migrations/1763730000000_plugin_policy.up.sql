-- Which plugins a tenant may use: what the operator lets it, and what it decided itself.

-- The operator's policy of a tenant. Without a row everything approved is permitted.
create table tenant_policies (
  tenant_id uuid constraint pk_tenant_policies primary key,
  -- What holds for plugins in neither list.
  default_rule text not null,
  include text[] not null,
  -- Wins over include.
  exclude text[] not null,
  tier_cap text not null,
  -- Null: no cap. Empty: no host at all.
  host_cap text[],
  updated_at timestamptz not null default now(),
  constraint fk_tenant_policies_tenant foreign key (tenant_id) references tenants (id),
  constraint ck_tenant_policies_default check (default_rule in ('include', 'exclude')),
  constraint ck_tenant_policies_tier_cap check (tier_cap in ('declarative', 'isolate', 'worker'))
);

alter table tenant_plugins
  -- Null: every action.
  add column allowed_actions text[],
  add column host_cap text[],
  -- The permissions that the tenant agreed to: { "hosts": [...], "tier": ... }.
  add column consented jsonb;

-- What was enabled before there was consent keeps what it could do: all that its versions ask for.
-- The owner sees these rows as a member of system, which it is while migrations run.
update tenant_plugins d
   set consented = (
     select jsonb_build_object(
              'hosts', coalesce((
                select jsonb_agg(distinct h.host)
                  from plugin_versions v, jsonb_array_elements(v.manifest->'permissions'->'hosts') as h(host)
                 where v.plugin_id = d.plugin_id), '[]'),
              'tier', coalesce((
                select v.manifest->>'tier' from plugin_versions v
                 where v.plugin_id = d.plugin_id
                 order by array_position(array['worker', 'isolate', 'declarative'], v.manifest->>'tier')
                 limit 1), 'declarative')))
  from plugins p
 where p.id = d.plugin_id and p.origin <> 'first_party' and d.enabled;

alter table tenant_policies enable row level security;
alter table tenant_policies force row level security;
-- Members read their own; nobody in a tenant writes it: that is the operator's, by set_tenant_policy.
create policy tenant_policies_read on tenant_policies for select to :"app"
  using (tenant_id = (select current_tenant_id()));
create policy system_all on tenant_policies for all to :"system" using (true) with check (true);
grant select on tenant_policies to :"app";
grant select, insert, update on tenant_policies to :"system";

-- The policy of any tenant, found by id or name, for an operator; nobody else is shown a row.
-- `policy` is null while none was made.
create function find_tenant_policy(p_tenant text)
returns table (tenant_id uuid, tenant_name text, policy jsonb)
language sql stable security definer set search_path = pg_catalog, public, pg_temp
as $$
  select t.id, t.name, to_jsonb(p)
    from public.tenants t left join public.tenant_policies p on p.tenant_id = t.id
   where (t.id::text = lower(p_tenant) or t.name = p_tenant)
     and exists (
       select from public.users u
        where u.tenant_id = public.current_tenant_id() and u.id = public.current_user_id() and u.is_operator)
   -- A tenant may be named like another's id.
   order by t.id::text = lower(p_tenant) desc
   limit 1
$$;

-- Replaces a tenant's policy; only for an operator.
create function set_tenant_policy(p_tenant uuid, p jsonb) returns void
language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  if not exists (
    select from public.users u
     where u.tenant_id = public.current_tenant_id() and u.id = public.current_user_id() and u.is_operator
  ) then
    raise insufficient_privilege using message = 'only an operator sets the policy of a tenant';
  end if;
  insert into public.tenant_policies (tenant_id, default_rule, include, exclude, tier_cap, host_cap)
    select p_tenant, v.default_rule, v.include, v.exclude, v.tier_cap, v.host_cap
      from jsonb_to_record(p) as v(
        default_rule text, include text[], exclude text[], tier_cap text, host_cap text[])
    on conflict (tenant_id) do update
      set default_rule = excluded.default_rule, include = excluded.include, exclude = excluded.exclude,
          tier_cap = excluded.tier_cap, host_cap = excluded.host_cap, updated_at = now();
end
$$;

-- The operator's own tenant gets what the operator lists at start, with the consent that listing it
-- is; its admin may still turn it off. A version that asks for more later is asked about, here as well.
drop function enable_plugin_by_default(text, text);
create function enable_plugin_by_default(p_tenant_name text, p_plugin_id text, p_consented jsonb) returns void
language sql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
  insert into public.tenant_plugins (tenant_id, plugin_id, enabled, consented)
    select t.id, p_plugin_id, true, p_consented from public.tenants t where t.name = p_tenant_name
    on conflict (tenant_id, plugin_id) do nothing
$$;

alter function find_tenant_policy(text) owner to :"system";
alter function set_tenant_policy(uuid, jsonb) owner to :"system";
alter function enable_plugin_by_default(text, text, jsonb) owner to :"system";
revoke execute on function find_tenant_policy(text), set_tenant_policy(uuid, jsonb),
  enable_plugin_by_default(text, text, jsonb) from public;
grant execute on function find_tenant_policy(text), set_tenant_policy(uuid, jsonb),
  enable_plugin_by_default(text, text, jsonb) to :"app";
