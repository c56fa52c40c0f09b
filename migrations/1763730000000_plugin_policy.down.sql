drop function enable_plugin_by_default(text, text, jsonb);
create function enable_plugin_by_default(p_tenant_name text, p_plugin_id text) returns void
language sql volatile security definer set search_path = pg_catalog, public, pg_temp
as $$
  insert into public.tenant_plugins (tenant_id, plugin_id, enabled)
    select t.id, p_plugin_id, true from public.tenants t where t.name = p_tenant_name
    on conflict (tenant_id, plugin_id) do nothing
$$;
alter function enable_plugin_by_default(text, text) owner to :"system";
revoke execute on function enable_plugin_by_default(text, text) from public;
grant execute on function enable_plugin_by_default(text, text) to :"app";
drop function set_tenant_policy(uuid, jsonb);
drop function find_tenant_policy(text);
alter table tenant_plugins drop column consented, drop column host_cap, drop column allowed_actions;
drop table tenant_policies;
