-- Pause, retry, replay and fork.
alter table executions
  -- Somebody asked the host that walks it to stop at the next step.
  add column pause_requested boolean not null default false,
  -- Failures to be tried again: { "<step>#<iteration>": <last attempt that doesn't count> }.
  add column forgiven jsonb,
  -- The execution that this one repeats, all of it or from a step on.
  add column origin_id uuid,
  add constraint fk_executions_origin foreign key (tenant_id, origin_id) references executions (tenant_id, id);

grant update (pause_requested, forgiven) on executions to :"app";
