import { describe, expect, it } from '@jest/globals';

import { stepFailed } from '../common/provider-result.js';
import { busy, loop, range, refused, runs, takeOver } from './for-each.fake.js';
import { WHOLE_STEP, type JournalEntry } from './run-store.js';
import { entry, setUp, walk, type FakeRun } from './run-walker.fake.js';

describe('a failure that was forgiven', () => {
  const plain = (journal: JournalEntry[], forgiven: Record<string, number>): FakeRun => {
    const made = setUp({ a: { effects: 'read', results: [busy(), busy(), busy()] } }, journal);
    made.run.forgiven = forgiven;
    return made;
  };

  it('has its step tried again with all attempts of its policy, counted on', async () => {
    const spent = entry('a', 3, { status: 'error', result: busy() });
    const again = plain([spent], { 'a#0': 3 });
    await walk(again);
    expect(runs(again)).toEqual(['run:a#4', 'run:a#5', 'run:a#6']);
    // The first of them doesn't rest.
    expect(again.slept).toHaveLength(2);
    const still = plain([spent], {});
    await walk(still);
    expect(runs(still)).toEqual([]);
    const later = plain([spent, entry('a', 4, { status: 'error', result: busy() })], { 'a#0': 3 });
    await walk(later);
    expect(runs(later)).toEqual(['run:a#5', 'run:a#6']);
  });

  it('is tried again also when nobody knew what it did, and when its host died over it', async () => {
    const unknown = entry('a', 1, { status: 'error', result: stepFailed('outcome.unknown', '?') });
    for (const [journal, recovered] of [
      [[unknown], []],
      [[entry('a', 1, { status: 'started' })], ['a=error']],
    ] as const) {
      const made = setUp({ a: { effects: 'write', results: [] } }, [...journal]);
      made.run.forgiven = { 'a#0': 1 };
      await walk(made);
      expect(made.happened).toEqual([
        ['write', ...recovered, 'a=started'].join(' '),
        'run:a#2',
        'finish:success a=success',
      ]);
    }
  });

  it('asks the condition again that could not be read, and keeps skipped what was', async () => {
    const steps = ['a', 'b'].map((id) => ({
      ...{ id, provider: 'p', action: 'a' },
      ...{ depends_on: [], when: 'input.x == 1' },
    }));
    const skipped: JournalEntry = {
      ...{ stepId: 'b', iteration: 0, provider: 'p', action: 'a', version: '1', attempt: 0 },
      ...{ startedAt: new Date(0), status: 'skipped' },
    };
    const failed = entry('a', 1, { status: 'error', result: stepFailed('reference.missing', '?') });
    const made = setUp({ a: { results: [] }, b: { results: [] } }, [skipped, failed], steps);
    made.run.forgiven = { 'a#0': 1 };
    made.run.input = { x: 1 };
    await walk(made);
    expect(runs(made)).toEqual(['run:a#2']);
    const no = setUp({ a: { results: [] }, b: { results: [] } }, [skipped, failed], steps);
    no.run.forgiven = { 'a#0': 1 };
    no.run.input = { x: 2 };
    await walk(no);
    expect(no.happened).toEqual(['finish:success a=skipped']);
  });

  it('has the failed items tried again and the rest begun, without those that succeeded', async () => {
    const made = loop(range(4), { concurrency: 1, script: { effects: 'write' } });
    made.onRun = (_, { iteration }) => (iteration === 1 ? refused() : null);
    await walk(made);
    expect(runs(made)).toEqual(['run:each[0]#1', 'run:each[1]#1']);

    const forgiven = { 'each#1': 1, 'each#-1': 1 };
    const again = takeOver(made, { forgiven, script: { effects: 'write' } });
    await walk(again);
    expect(runs(again)).toEqual(['run:each[1]#2', 'run:each[2]#1', 'run:each[3]#1']);
    const output = range(4).map((index) => `each[${String(index)}] done`);
    expect(again.store.outcome).toEqual({ status: 'success', output });
    expect(again.store.journal.at(-1)).toMatchObject({ iteration: WHOLE_STEP, attempt: 2 });

    const onlyItem = takeOver(made, { forgiven: { 'each#1': 1 }, script: { effects: 'write' } });
    await walk(onlyItem);
    expect(runs(onlyItem)).toEqual(runs(again));
    const none = takeOver(made);
    await walk(none);
    expect(none.happened).toEqual(['finish:error']);
    expect(none.store.outcome).toMatchObject({ error: { details: { index: 1 } } });
  });

  it('leaves the failed items of a step that succeeded as they are', async () => {
    const made = loop(range(2), { on_error: 'continue' });
    made.onRun = (_, { iteration }) => (iteration === 1 ? refused() : null);
    await walk(made);
    const again = takeOver(made, { forgiven: { 'each#1': 1 } });
    await walk(again);
    expect(again.calls).toEqual([]);
    expect(again.store.outcome).toEqual({ status: 'success', output: ['each[0] done', null] });
  });
});
