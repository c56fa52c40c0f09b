import type { JsonValue } from '../../common/json.js';
import type { Tx } from '../../database/database.js';
import type { ExecutionLog } from '../execution-log.entity.js';
import type { Execution } from '../execution.entity.js';
import type { ExecutionKey } from '../sql/read-execution.js';
import { readBlobs } from './read-blobs.js';

/** Whether input or output of a row stand in a blob. */
export function hasPayload({ inputBlob, outputBlob }: ExecutionLog): boolean {
  return inputBlob !== null || outputBlob !== null;
}

/** Puts inputs and outputs that stand in blobs into the rows of one execution's journal. */
export async function fillPayloads(
  tx: Tx,
  key: ExecutionKey,
  logs: readonly ExecutionLog[],
): Promise<void> {
  const ids = logs.flatMap(({ inputBlob, outputBlob }) => [inputBlob, outputBlob]);
  const values = await read(tx, key, ids);
  for (const log of logs) {
    log.input = values.get(log.inputBlob ?? '') ?? log.input;
    log.output = values.get(log.outputBlob ?? '') ?? log.output;
  }
}

/** The same for outputs alone, and for that of the execution itself. */
export async function fillOutputs(
  tx: Tx,
  row: Execution,
  logs: readonly ExecutionLog[],
): Promise<void> {
  const outcome = outcomeBlobOf(row);
  const ids = [outcome, ...logs.map(({ outputBlob }) => outputBlob)];
  const values = await read(tx, { tenantId: row.tenantId, executionId: row.id }, ids);
  row.output = values.get(outcome ?? '') ?? row.output;
  for (const log of logs) log.output = values.get(log.outputBlob ?? '') ?? log.output;
}

/**
 * Where the output of an execution stands, if that is large. One that is tried again has none, though
 * its row still names the blob of the one before.
 */
export function outcomeBlobOf({ status, outputBlob }: Execution): string | null {
  return status === 'success' || status === 'error' ? outputBlob : null;
}

async function read(
  tx: Tx,
  key: ExecutionKey,
  ids: readonly (string | null)[],
): Promise<Map<string, JsonValue>> {
  const wanted = new Set(ids.filter((id) => id !== null));
  return wanted.size === 0 ? new Map() : await readBlobs(tx, key, [...wanted]);
}
