revoke update on execution_logs from :"app";
grant insert, update on execution_logs to :"app";
grant insert on executions to :"app";
drop function flush_runs(jsonb, jsonb);
revoke select, insert, update on execution_logs from :"system";
revoke insert on executions from :"system";
drop policy system_all on execution_logs;
