import { describe, expect, it } from '@jest/globals';

import { isUuid } from '../../common/ids.js';
import type { JsonValue } from '../../common/json.js';
import { stepSucceeded } from '../../common/provider-result.js';
import type { JournalEntry, Lease, NewRun } from '../run-store.js';
import { acceptRun, writeRun, type RunEnd } from '../sql/flush-runs.js';
import { BlobHandle, MAX_IN_ROW_BYTES, outputBlobId } from './blob-handle.js';

const KIB = 1024;
const lease: Lease = {
  ...{ tenantId: 't', ownerId: 'o', executionId: 'e', hostId: 'h', epoch: 1 },
};

const success = (output: JsonValue, more: Partial<JournalEntry> = {}): JournalEntry =>
  ({
    ...{ stepId: 'a', iteration: 0, provider: 'p', action: 'a', version: '1', attempt: 1 },
    ...{ startedAt: new Date(0), finishedAt: new Date(0), latencyMs: 1, input: {} },
    ...{ status: 'success', result: stepSucceeded(output) },
    ...more,
  }) as JournalEntry;

interface Written {
  entries: Record<string, unknown>[];
  blobs?: { id: string; bytes: number; value: JsonValue }[];
  output?: unknown;
  output_blob?: string;
}

const written = (entries: JournalEntry[], end: RunEnd = null): Written =>
  JSON.parse(writeRun(lease, entries, end).encode()) as Written;

describe('a write', () => {
  it('holds small values in its rows, and says nothing of blobs', () => {
    const { entries, blobs } = written([success({ x: 1 })]);
    expect(entries).toMatchObject([{ input: {}, output: { x: 1 } }]);
    expect(blobs).toBeUndefined();
    expect(entries[0]).not.toHaveProperty('output_blob');
  });

  it('takes out what is over 64 KiB as UTF-8, and not what is just below', () => {
    const fits = 'x'.repeat(MAX_IN_ROW_BYTES - 2);
    expect(written([success(fits)]).blobs).toBeUndefined();
    // Two bytes each: as many characters would do.
    for (const value of [`${fits}x`, 'é'.repeat(MAX_IN_ROW_BYTES / 2)]) {
      const { entries, blobs } = written([success(value)]);
      expect(blobs).toEqual([
        {
          id: entries[0]?.['output_blob'],
          bytes: Buffer.byteLength(JSON.stringify(value)),
          value,
        },
      ]);
      expect(entries[0]).not.toHaveProperty('output');
    }
  });

  it('takes out inputs as well, also of an intent, under the same id as of its result', () => {
    const input = { text: 'x'.repeat(100 * KIB) };
    const intent = written([{ ...success(null), status: 'started', input }]);
    const result = written([success('small', { input })]);
    expect(intent.blobs).toHaveLength(1);
    expect(intent.entries[0]?.['input_blob']).toBe(result.entries[0]?.['input_blob']);
    expect(result.entries[0]).toMatchObject({ output: 'small' });
  });

  it('gives each blob an id that a repetition gives it again, and nothing else has', () => {
    const large = 'x'.repeat(100 * KIB);
    const ids = [
      success(large, { input: large }),
      success(large, { iteration: 1 }),
      success(large, { stepId: 'b' }),
    ].flatMap((entry) => [written([entry]), written([entry])].map(({ blobs = [] }) => blobs));
    expect(ids.map((blobs) => blobs.length)).toEqual([2, 2, 1, 1, 1, 1]);
    const all = ids.flat().map(({ id }) => id);
    expect(new Set(all).size).toBe(4);
    expect(all.every(isUuid)).toBe(true);
  });

  it("ends a run with its last step's blob, without writing it twice", () => {
    const large = 'x'.repeat(100 * KIB);
    const handle = new BlobHandle(outputBlobId('e', { stepId: 'a', iteration: 0 }), 1);
    const { blobs, entries, ...end } = written([success(large)], {
      status: 'success',
      output: handle,
    });
    expect(blobs).toHaveLength(1);
    expect(end).toMatchObject({ becomes: 'success', output_blob: blobs?.[0]?.id });
    expect(entries[0]?.['output_blob']).toBe(end.output_blob);
    expect(end).not.toHaveProperty('output');
  });

  it('ends a run with a blob of its own, when its output is no single one of a step', () => {
    const list = Array.from({ length: 10 }, () => 'x'.repeat(10 * KIB));
    const { blobs, output_blob: id } = written([], { status: 'success', output: list });
    expect(blobs).toMatchObject([{ id, value: list }]);
    // One that is tried again may end with something else.
    const later = writeRun({ ...lease, epoch: 2 }, [], { status: 'success', output: list });
    expect((JSON.parse(later.encode()) as Written).output_blob).not.toBe(id);
  });

  it('refers to what is stored, instead of storing null over it', () => {
    const stored = new BlobHandle('there', 70_000);
    const { entries, blobs } = written([success(null, { blobs: { input: stored } })]);
    expect(entries).toMatchObject([{ input_blob: 'there', output: null }]);
    expect(blobs).toBeUndefined();
  });

  it('keeps what jsonb has no place for out of blobs, too, and counts what is left', () => {
    const value = `\0${'x'.repeat(100 * KIB)}`;
    const { blobs } = written([success(value)]);
    expect(blobs).toEqual([
      expect.objectContaining({ bytes: value.length + 4, value: value.replace('\0', '\ufffd') }),
    ]);
  });
});

it('brings along what a fork begins with, as its own', () => {
  const large = 'x'.repeat(100 * KIB);
  const run = (id: string): NewRun =>
    ({ id, journal: [success(large)], idempotency: null, parent: null }) as unknown as NewRun;
  const [one, other] = ['1', '2'].map((id) => JSON.parse(acceptRun(run(id)).encode()) as Written);
  expect(one?.blobs).toMatchObject([{ id: one?.entries[0]?.['output_blob'], value: large }]);
  expect(other?.blobs?.[0]?.id).not.toBe(one?.blobs?.[0]?.id);
});
