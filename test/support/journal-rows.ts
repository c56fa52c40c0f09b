import { randomBytes, randomUUID } from 'node:crypto';

import type pg from 'pg';

export const DAY_MS = 86_400_000;

/** A UUIDv7 that was made at a time. */
export function idAt(at: Date): string {
  const time = at.getTime().toString(16).padStart(12, '0');
  const random = randomBytes(10).toString('hex');
  const hex = `${time}7${random.slice(0, 3)}8${random.slice(4, 19)}`;
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

export function daysAgo(days: number): Date {
  return new Date(Date.now() - days * DAY_MS);
}

export interface OldRun {
  tenantId: string;
  ownerId: string;
  begunAt: Date;
  /** Default: success. */
  status?: string;
  /** Default: a second after its begin. */
  finishedAt?: Date;
  planId?: string;
  parentId?: string;
  originId?: string;
  idempotencyKey?: string;
  /** What its attempts are like; default: one that succeeded. */
  attempts?: { provider?: string; status?: string; endedAt?: Date }[];
}

/** Puts an execution and its journal where they would stand, had they been written at their time. */
export async function insertOldRun(admin: pg.Client, run: OldRun): Promise<string> {
  const id = idAt(run.begunAt);
  const endedAt = run.finishedAt ?? new Date(run.begunAt.getTime() + 1000);
  const status = run.status ?? 'success';
  const hasEnded = ['success', 'error', 'cancelled'].includes(status);
  await admin.query(
    `insert into executions (tenant_id, id, plan_id, plan_version, definition, owner_id, visibility, status, trigger,
                             input, created_at, started_at, finished_at, parent_id, origin_id, idempotency_key,
                             request_hash)
     values ($1, $2, $3, 1, '{"steps":[],"pins":{}}', $4, 'private', $5, 'manual', '{}', $6, $6, $7, $8, $9, $10, 'h')`,
    [
      ...[run.tenantId, id, run.planId ?? null, run.ownerId, status, run.begunAt],
      ...[hasEnded ? endedAt : null, run.parentId ?? null, run.originId ?? null],
      run.idempotencyKey ?? null,
    ],
  );
  for (const [at, attempt] of (run.attempts ?? [{}]).entries()) {
    await admin.query(
      `insert into execution_logs (tenant_id, id, execution_id, plan_id, owner_id, visibility, step_id, attempt,
                                   provider, action, version, status, started_at, finished_at)
       values ($1, $2, $3, $4, $5, 'private', $6, 1, $7, 'do', '1.0.0', $8, $9, $10)`,
      [
        ...[run.tenantId, idAt(run.begunAt), id, run.planId ?? null, run.ownerId, `s${String(at)}`],
        ...[attempt.provider ?? 'logic', attempt.status ?? 'success', run.begunAt],
        attempt.endedAt ?? endedAt,
      ],
    );
  }
  return id;
}

/** A value of an execution that is too large for its row, and something that it waited for. */
export async function insertBelongings(
  admin: pg.Client,
  { tenantId, ownerId, id }: { tenantId: string; ownerId: string; id: string },
): Promise<void> {
  await admin.query(
    `insert into execution_blobs (tenant_id, id, execution_id, owner_id, visibility, bytes, value)
     values ($1, $2, $3, $4, 'private', 2, '{}')`,
    [tenantId, randomUUID(), id, ownerId],
  );
  await admin.query(
    `insert into execution_waits (tenant_id, id, execution_id, owner_id, visibility, step_id, iteration, kind, status)
     values ($1, $2, $3, $4, 'private', 's', 0, 'callback', 'cancelled')`,
    [tenantId, randomUUID(), id, ownerId],
  );
}

/** Makes the partition of the week of a time, as if a host had been there then. */
export async function makeWeekOf(admin: pg.Client, at: Date): Promise<void> {
  await admin.query('select make_log_week(log_week_of($1))', [at]);
}

/** Sets the clock that the engine asks what is due. */
export async function moveEngineClock(admin: pg.Client, days: number): Promise<void> {
  await admin.query(
    `create or replace function engine_now() returns timestamptz language sql stable parallel safe
       as $$ select now() + interval '${String(days)} days' $$`,
  );
}
