/** What the committer is measured against: each write a transaction of its own, by plain statements. */
export class SingleWrites {
  constructor(source, counted) {
    this.source = source;
    this.counted = counted;
  }

  async accept(run) {
    await this.#withTenant(run, (tx) =>
      tx.query(
        `insert into executions (tenant_id, id, definition, owner_id, visibility, status, trigger, input,
                                 idempotency_key, request_hash, host_id, lease_epoch, started_at)
         values ($1, $2, $3, $4, $5, 'running', $6, $7, $8, $9, $10, 1, now())
         on conflict (tenant_id, owner_id, idempotency_key) where idempotency_key is not null do nothing`,
        [
          ...[run.tenantId, run.id, JSON.stringify(run.definition), run.ownerId, run.visibility],
          ...[run.trigger, JSON.stringify(run.input)],
          ...[run.idempotency.key, run.idempotency.requestHash, run.hostId],
        ],
      ),
    );
    const { tenantId, ownerId, hostId, id } = run;
    return { run: { lease: { tenantId, ownerId, executionId: id, hostId, epoch: 1 } } };
  }

  async checkpoint(lease, entries) {
    await this.#withTenant(lease, (tx) => writeJournal(tx, lease, entries));
  }

  async finish(lease, entries, outcome) {
    await this.#withTenant(lease, async (tx) => {
      await writeJournal(tx, lease, entries);
      await tx.query(
        `update executions set status = $5, output = $6, finished_at = now()
          where tenant_id = $1 and id = $2 and host_id = $3 and lease_epoch = $4 and status = 'running'`,
        [...held(lease), outcome.status, JSON.stringify(outcome.output)],
      );
    });
  }

  async #withTenant({ tenantId, ownerId }, work) {
    this.counted.flushes++;
    await this.source.transaction(async (tx) => {
      await tx.query(
        `select set_config('app.tenant_id', $1, true), set_config('app.user_id', $2, true)`,
        [tenantId, ownerId],
      );
      await work(tx);
    });
  }
}

function held({ tenantId, executionId, hostId, epoch }) {
  return [tenantId, executionId, hostId, epoch];
}

async function writeJournal(tx, lease, entries) {
  await tx.query(
    `with run as (
       select * from executions
        where tenant_id = $1 and id = $2 and host_id = $3 and lease_epoch = $4 and status = 'running'
        for update)
     insert into execution_logs (tenant_id, id, execution_id, owner_id, visibility, step_id, attempt,
                                 provider, action, version, status, input, output, message, metadata,
                                 latency_ms, started_at, finished_at)
     select run.tenant_id, gen_random_uuid(), run.id, run.owner_id, run.visibility, e."stepId", e.attempt,
            e.provider, e.action, e.version, e.status, e.input, e.result->'output', e.result->>'message',
            e.result->'metadata', e."latencyMs", e."startedAt", e."finishedAt"
       from run, jsonb_to_recordset($5::jsonb) as e(
            "stepId" text, attempt int, provider text, action text, version text, status text, input jsonb,
            result jsonb, "latencyMs" int, "startedAt" timestamptz, "finishedAt" timestamptz)
     on conflict (tenant_id, execution_id, step_id, iteration, attempt) do update
        set status = excluded.status where execution_logs.status = 'started'`,
    [...held(lease), JSON.stringify(entries)],
  );
}
