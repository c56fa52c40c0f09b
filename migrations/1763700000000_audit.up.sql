-- The audit log: who did what, kept apart from what they did it to. The app role may add to it and
-- read it; it has no right to change or delete a row, whatever a request manages to say.
create table audit_log (
  tenant_id uuid not null,
  id uuid not null,
  -- Who acted: an admin who acts for a member, else the user.
  actor_id uuid not null,
  -- As whom.
  user_id uuid not null,
  action text not null,
  subject_type text,
  subject_id text,
  outcome text not null,
  details jsonb not null,
  request_id text,
  created_at timestamptz not null default now(),
  constraint pk_audit_log primary key (tenant_id, id),
  constraint fk_audit_log_actor foreign key (tenant_id, actor_id) references users (tenant_id, id),
  constraint fk_audit_log_user foreign key (tenant_id, user_id) references users (tenant_id, id),
  constraint ck_audit_log_outcome check (outcome in ('success', 'refused'))
);
create index ix_audit_log_action on audit_log (tenant_id, action, id);

alter table audit_log enable row level security;
alter table audit_log force row level security;
-- Members see what they did themselves; admins everything.
create policy audit_log_read on audit_log for select to :"app"
  using (tenant_id = (select current_tenant_id())
    and (user_id = (select current_user_id()) or (select current_is_admin())));
create policy audit_log_insert on audit_log for insert to :"app"
  with check (tenant_id = (select current_tenant_id()) and user_id = (select current_user_id()));
create policy system_all on audit_log for insert to :"system" with check (true);

grant select, insert on audit_log to :"app";
grant insert on audit_log to :"system";
