alter table executions
  drop column origin_id,
  drop column forgiven,
  drop column pause_requested;
