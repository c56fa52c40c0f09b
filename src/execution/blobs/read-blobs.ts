import type { JsonValue } from '../../common/json.js';
import type { Tx } from '../../database/database.js';
import type { ExecutionLog } from '../execution-log.entity.js';
import type { ExecutionKey } from '../sql/read-execution.js';
import { BlobHandle } from './blob-handle.js';

/** Values of one execution's blobs, by id. Those that the transaction doesn't see are left out. */
export async function readBlobs(
  tx: Tx,
  { tenantId, executionId }: ExecutionKey,
  ids: readonly string[],
): Promise<Map<string, JsonValue>> {
  const rows: { id: string; value: JsonValue }[] = await tx.query(
    `select id, value from execution_blobs
      where tenant_id = $1 and execution_id = $2 and id = any ($3)`,
    [tenantId, executionId, ids],
  );
  return new Map(rows.map(({ id, value }) => [id, value]));
}

/** Handles of blobs, by id, without their values. Asks nothing when there are none. */
export async function readBlobHandles(
  tx: Tx,
  { tenantId }: Pick<ExecutionKey, 'tenantId'>,
  ids: readonly string[],
): Promise<Map<string, BlobHandle>> {
  if (ids.length === 0) return new Map();
  const rows: { id: string; bytes: number }[] = await tx.query(
    'select id, bytes from execution_blobs where tenant_id = $1 and id = any ($2)',
    [tenantId, ids],
  );
  return new Map(rows.map(({ id, bytes }) => [id, new BlobHandle(id, bytes)]));
}

/** The value of a blob as JSON text; null: it isn't there. */
export async function findBlobText(
  tx: Tx,
  { tenantId, executionId }: ExecutionKey,
  id: string,
): Promise<string | null> {
  const rows: { text: string }[] = await tx.query(
    `select value::text as text from execution_blobs
      where tenant_id = $1 and execution_id = $2 and id = $3`,
    [tenantId, executionId, id],
  );
  return rows[0]?.text ?? null;
}

/** Handles of all blobs that rows of the journal refer to. */
export async function readHandlesOf(
  tx: Tx,
  key: Pick<ExecutionKey, 'tenantId'>,
  logs: readonly LogBlobs[],
): Promise<Map<string, BlobHandle>> {
  const ids = logs.flatMap(({ inputBlob, outputBlob }) => [inputBlob, outputBlob]);
  return await readBlobHandles(
    tx,
    key,
    ids.filter((id) => id !== null),
  );
}

type LogBlobs = Pick<ExecutionLog, 'inputBlob' | 'outputBlob'>;
