import { toStoredEntry } from './blobs/entry-blobs.js';
import type { LeasedRun, NewRun } from './run-store.js';

/** A new run as the host walks it that it began on. */
export function bornRunning(
  run: NewRun,
  hostId: string,
  startedAt: Date,
  { isStored = true } = {},
): LeasedRun {
  return {
    lease: {
      tenantId: run.tenantId,
      ownerId: run.ownerId,
      executionId: run.id,
      hostId,
      epoch: 1,
    },
    tenantName: run.tenantName,
    planId: run.planId,
    planVersion: run.planVersion,
    definition: run.definition,
    visibility: run.visibility,
    triggerData: run.triggerData,
    input: run.input,
    startedAt,
    depth: run.parent ? run.parent.depth + 1 : 0,
    parentId: run.parent?.executionId ?? null,
    journal: run.journal.map((entry) => toStoredEntry(run.id, entry)),
    forgiven: {},
    takeovers: 0,
    unstored: isStored ? null : run,
  };
}
