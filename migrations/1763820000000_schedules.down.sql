drop function unfinished_schedule_runs(uuid);
drop function due_schedules(integer);
drop table schedule_fires;
drop table schedules;
