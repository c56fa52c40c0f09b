import type { JsonObject } from '../../common/json.js';
import type { BlobHandle } from './blob-handle.js';

/** What lists show in the place of a large value: how large it is, and where to read it. */
export function showPayload(executionId: string, { id, bytes }: BlobHandle): JsonObject {
  return { $payload: id, bytes, url: `/api/executions/${executionId}/payloads/${id}` };
}
