import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';

import { stepSucceeded } from '../common/provider-result.js';
import { JournalWriter } from './journal-writer.js';
import { entry } from './run-walker.fake.js';
import {
  LeaseLost,
  type Accepted,
  type JournalEntry,
  type LeasedRun,
  type NewRun,
  type Progress,
  type RunStore,
} from './run-store.js';

const done = (stepId: string, metadata = {}): JournalEntry =>
  entry(stepId, 1, { status: 'success', result: { ...stepSucceeded(1), metadata } });
const success = { status: 'success' as const, output: 1 };

describe('the journal of a run', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  it('stores a run that was not stored whole, in one write, when it ends at once', async () => {
    const { journal, said } = world();
    await journal.add(done('a'));
    expect(journal.isStored).toBe(false);
    await journal.finish(success);
    expect(journal.isStored).toBe(true);
    await journal.whenStored();
    expect(said).toEqual(['accept a ended']);
  });

  it('stores a run that goes on together with its first entries', async () => {
    const { journal, said } = world();
    await journal.add(done('a'));
    await journal.flush();
    await journal.add(done('b'));
    await journal.finish(success);
    expect(said).toEqual(['accept a', 'finish b']);
  });

  it('stores a run before what needs one that is stored', async () => {
    const { journal, said } = world();
    await journal.add(done('a', { credential_id: 'c' }));
    await journal.finish(success);
    expect(said).toEqual(['accept ', 'finish a']);

    const resting = world();
    await resting.journal.rest(5_000);
    expect(resting.said).toEqual(['accept ', 'rest ']);
  });

  it('writes what nobody asked to be written after a tenth of a second', async () => {
    const { journal, said } = world();
    await jest.advanceTimersByTimeAsync(99);
    expect(said).toEqual([]);
    await jest.advanceTimersByTimeAsync(2);
    expect(said).toEqual(['accept ']);
    await journal.add(done('a'));
    await jest.advanceTimersByTimeAsync(101);
    expect(said).toEqual(['accept ', 'checkpoint a']);
    await jest.advanceTimersByTimeAsync(1_000);
    expect(said).toHaveLength(2);
    await journal.add(done('b'));
    journal.close();
    await jest.advanceTimersByTimeAsync(1_000);
    expect(said).toHaveLength(2);
  });

  it('tells whoever waits for the run why it could not be stored, and writes nothing more', async () => {
    const { journal, said } = world({ accept: () => Promise.reject(new Error('refused')) });
    await journal.add(done('a'));
    await expect(journal.finish(success)).rejects.toThrow('refused');
    await expect(journal.whenStored()).rejects.toThrow('refused');
    await expect(journal.flush()).rejects.toThrow('refused');
    expect(journal.isStored).toBe(false);
    expect(said).toEqual(['accept a ended']);
  });

  it('tells whoever waits for the run when its walk ends before it is stored', async () => {
    const { journal } = world();
    journal.close(new Error('broken'));
    await expect(journal.whenStored()).rejects.toThrow('broken');

    const stored = world();
    await stored.journal.flush();
    stored.journal.close(new Error('broken'));
    await stored.journal.whenStored();
  });

  it('stops where the run was stored for another to walk', async () => {
    const { journal } = world({
      accept: ({ id }) => Promise.resolve({ kind: 'new', executionId: id, run: null }),
    });
    await expect(journal.flush()).rejects.toThrow(LeaseLost);
    await journal.whenStored();
  });

  it('stores a run without results that the database refuses, so that it can say so', async () => {
    let calls = 0;
    const { journal, said } = world({
      accept: (run) => {
        if (++calls > 1) return held(run);
        return Promise.reject(
          Object.assign(new Error('no such text'), { driverError: { code: '22P05' } }),
        );
      },
    });
    await journal.add(done('a'));
    await journal.finish(success);
    expect(said).toEqual(['accept a ended', 'accept ', 'finish a']);
  });
});

const names = (entries: readonly JournalEntry[]): string =>
  entries.map(({ stepId }) => stepId).join();

function held(run: NewRun): Promise<Accepted> {
  return Promise.resolve({ kind: 'new', executionId: run.id, run: {} as LeasedRun });
}

function world({ accept = held }: { accept?: (run: NewRun) => Promise<Accepted> } = {}): {
  journal: JournalWriter;
  said: string[];
} {
  const said: string[] = [];
  const say = (what: string, entries: readonly JournalEntry[]): Promise<void> => {
    said.push(`${what} ${names(entries)}`);
    return Promise.resolve();
  };
  const store = {
    accept: (run: NewRun, progress: Progress) => {
      said.push(`accept ${names(progress.entries)}${progress.end ? ' ended' : ''}`);
      return accept(run);
    },
    checkpoint: (_lease: unknown, entries: JournalEntry[]) => say('checkpoint', entries),
    finish: (_lease: unknown, entries: JournalEntry[]) => say('finish', entries),
    rest: (_lease: unknown, entries: JournalEntry[]) => say('rest', entries),
  } as unknown as RunStore;
  const clock = { now: () => 0, monotonic: () => 0, sleep: () => Promise.resolve() };
  const run = { lease: { executionId: 'e' }, unstored: { id: 'e' } } as unknown as LeasedRun;
  return { journal: new JournalWriter(store, clock, run, new AbortController().signal), said };
}
