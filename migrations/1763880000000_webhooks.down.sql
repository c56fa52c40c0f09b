drop function resolve_webhooks(text[]);
drop table webhooks;
