import type { JsonValue } from '../../common/json.js';
import type { ExecutionLog } from '../execution-log.entity.js';
import type { JournalEntry, RunOutcome } from '../run-store.js';
import type { WholeOutcome } from '../sql/flush-runs.js';
import { BlobHandle, entryBlobId, HeldList, measure, outputBlobId } from './blob-handle.js';

/** An entry as it comes back from storage: handles in the place of what is too large for its row. */
export function toStoredEntry(executionId: string, entry: JournalEntry): JournalEntry {
  if (entry.status === 'skipped') return entry;
  const input = handleFor(executionId, { entry, what: 'input', value: entry.input });
  const output =
    'result' in entry
      ? handleFor(executionId, { entry, what: 'output', value: entry.result.output })
      : null;
  if (!input && !output) return entry;
  const blobs = { ...entry.blobs, ...(input && { input }), ...(output && { output }) };
  const shown = { ...entry, blobs, ...(input && { input: null }) };
  if (!output || !('result' in shown)) return shown;
  return { ...shown, result: { ...shown.result, output: null } };
}

/** The handles of a row's input and output, as its entry has them. */
export function handlesInEntry(
  { inputBlob, outputBlob }: Pick<ExecutionLog, 'inputBlob' | 'outputBlob'>,
  handles: ReadonlyMap<string, BlobHandle>,
): Pick<JournalEntry, 'blobs'> {
  const input = handles.get(inputBlob ?? '');
  const output = handles.get(outputBlob ?? '');
  if (!input && !output) return {};
  return { blobs: { ...(input && { input }), ...(output && { output }) } };
}

/**
 * An outcome whose output is one value, or stands in one blob: a list is put together from what its
 * write brings along and what is stored.
 */
export async function wholeOutcome(
  outcome: RunOutcome,
  from: {
    executionId: string;
    /** That are written together with it. */
    entries: readonly JournalEntry[];
    read: (ids: string[]) => Promise<Map<string, JsonValue>>;
  },
): Promise<WholeOutcome> {
  const { output } = outcome;
  if (!(output instanceof HeldList)) return { ...outcome, output };
  const values = new Map(
    from.entries.flatMap((entry) =>
      entry.status === 'success' && !entry.blobs?.output
        ? [[outputBlobId(from.executionId, entry), entry.result.output]]
        : [],
    ),
  );
  const missing = output.items.flatMap((item) =>
    item instanceof BlobHandle && !values.has(item.id) ? [item.id] : [],
  );
  const stored = missing.length > 0 ? await from.read(missing) : new Map<string, JsonValue>();
  const list = output.items.map((item) => {
    if (!(item instanceof BlobHandle)) return item;
    const value = values.get(item.id) ?? stored.get(item.id);
    if (value === undefined) throw new Error(`blob ${item.id} is not there`);
    return value;
  });
  return { ...outcome, output: list };
}

function handleFor(
  executionId: string,
  { entry, what, value }: { entry: JournalEntry; what: 'input' | 'output'; value: JsonValue },
): BlobHandle | null {
  const { bytes, isLarge } = measure(value, Infinity);
  return isLarge ? new BlobHandle(entryBlobId(executionId, entry, what), bytes) : null;
}
