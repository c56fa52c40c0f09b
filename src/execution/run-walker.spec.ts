import { describe, expect, it } from '@jest/globals';

import { stepFailed, stepSucceeded, type ProviderResult } from '../common/provider-result.js';
import { LeaseLost, type JournalEntry, type NewRun } from './run-store.js';
import { entry, setUp, walk } from './run-walker.fake.js';
import { restlessActivity } from './walk.js';

describe('a run', () => {
  it('writes steps without effects once, together with its end', async () => {
    const made = setUp({ a: { results: [] }, b: { results: [] } });
    await walk(made);
    expect(made.happened).toEqual(['run:a#1', 'run:b#1', 'finish:success a=success b=success']);
    expect(made.store.outcome).toEqual({ status: 'success', output: 'b done' });
  });

  it('has all that came before, and the intent, durable before a write begins', async () => {
    const made = setUp({
      a: { results: [] },
      b: { effects: 'write', results: [] },
      c: { results: [] },
    });
    await walk(made);
    expect(made.happened).toEqual([
      'run:a#1',
      'write a=success b=started',
      'run:b#1',
      'write b=success',
      'run:c#1',
      'finish:success c=success',
    ]);
  });

  it('goes on after its last journalled step, and never sends an intent again', async () => {
    const made = setUp(
      { a: { results: [] }, b: { effects: 'write', results: [] }, c: { results: [] } },
      [
        entry('a', 1, { status: 'success', result: stepSucceeded(1) }),
        entry('b', 1, { status: 'started' }),
      ],
    );
    await walk(made);
    expect(made.happened).toEqual(['finish:error b=error']);
    expect(made.store.outcome).toMatchObject({
      status: 'error',
      output: 1,
      error: { code: 'outcome.unknown' },
    });
  });

  it('goes on with the next attempt of a step that had failed before the takeover', async () => {
    const failed = stepFailed('provider.unavailable', 'no');
    const made = setUp({ a: { effects: 'read', results: [] } }, [
      entry('a', 1, { status: 'error', result: failed }),
    ]);
    await walk(made);
    expect(made.happened).toEqual(['run:a#2', 'finish:success a=success']);
    const spent = setUp({ a: { effects: 'read', results: [] } }, [
      entry('a', 3, { status: 'error', result: failed }),
    ]);
    await walk(spent);
    expect(spent.happened).toEqual(['finish:error']);
  });

  it('repeats no crash whose answers died with another host', async () => {
    const crash = stepFailed('plugin.crashed', 'gone');
    const made = setUp({ a: { effects: 'write', results: [] } }, [
      entry('a', 1, { status: 'error', result: crash }),
    ]);
    await walk(made);
    expect(made.happened).toEqual(['finish:error']);
    const read = setUp({ a: { effects: 'read', results: [] } }, [
      entry('a', 1, { status: 'error', result: crash }),
    ]);
    await walk(read);
    expect(read.happened).toEqual(['run:a#2', 'finish:success a=success']);
  });

  it('says in the journal when the next attempt comes', async () => {
    const failed = stepFailed('provider.rate_limited', 'slow', {
      details: { retry_after_ms: 7000 },
    });
    const made = setUp({ a: { effects: 'write', results: [failed] } });
    await walk(made);
    expect(made.slept).toEqual([7000]);
    const [, first] = made.store.journal;
    expect(first).toMatchObject({
      status: 'error',
      result: { metadata: { next_attempt_in_ms: 7000 } },
    });
  });

  it('holds no more outputs than fit, and writes large ones before the end', async () => {
    const large = (): ProviderResult => stepSucceeded('x'.repeat(3 * 2 ** 20));
    const ids = Array.from({ length: 22 }, (_, index) => `s${String(index)}`);
    const made = setUp(Object.fromEntries(ids.map((id) => [id, { results: [large()] }])));
    await walk(made);
    expect(made.store.outcome).toMatchObject({
      status: 'error',
      error: { code: 'engine.too_large' },
    });
    expect(made.happened.filter((what) => what.startsWith('write')).length).toBeGreaterThan(1);
  });

  it('ends when its journal can not be stored, instead of beginning anew for ever', async () => {
    const made = setUp({ a: { results: [] } });
    made.store.failures = [Object.assign(new Error('too big'), { driverError: { code: '54000' } })];
    await walk(made);
    expect(made.store.outcome).toMatchObject({ status: 'error', error: { code: 'engine.failed' } });
  });

  it('begins no attempt without the answers to what an earlier one has done', async () => {
    // The child dies after its POST was answered; then there is no child to be had; then there is.
    const made = setUp({
      a: {
        effects: 'write',
        posts: true,
        results: [stepFailed('plugin.crashed', 'gone'), stepFailed('sandbox.unavailable', 'full')],
      },
    });
    await walk(made);
    expect(made.happened.filter((what) => /^(run|replay|post)/.test(what))).toEqual([
      'run:a#1',
      'post:a',
      'replay:a#2',
      'replay:a#3',
    ]);
    expect(made.store.outcome).toMatchObject({ status: 'success' });
  });

  it('sends nothing again whose answer left open what was done, when the child dies over it', async () => {
    const crash = stepFailed('plugin.crashed', 'gone');
    const made = setUp({ a: { effects: 'write', posts: true, postStatus: 500, results: [crash] } });
    await walk(made);
    expect(made.happened.filter((what) => /^(run|replay|post)/.test(what))).toEqual([
      'run:a#1',
      'post:a',
      'replay:a#2',
    ]);
  });

  it('sends nothing again when a later request of the same attempt was refused', async () => {
    const refused = stepFailed('provider.rate_limited', 'slow');
    const made = setUp({ a: { effects: 'write', posts: true, results: [refused] } });
    await walk(made);
    expect(made.happened.filter((what) => what.startsWith('post'))).toEqual(['post:a']);
    expect(made.store.outcome).toMatchObject({ error: { code: 'provider.rate_limited' } });
  });

  it('leaves its end to the next host when a step was stopped without a result', async () => {
    const made = setUp(
      { a: { results: [stepFailed('plugin.threw', 'no')] }, b: { effects: 'write', results: [] } },
      [],
      [
        { id: 'a', provider: 'p', action: 'a', depends_on: [] },
        { id: 'b', provider: 'p', action: 'a', depends_on: [] },
      ],
    );
    const stop = new AbortController();
    made.onRun = (stepId) => {
      if (stepId !== 'b') return null;
      stop.abort();
      return stepFailed('step.cancelled', 'stopped');
    };
    await made.walker.walk({
      run: made.run,
      signal: stop.signal,
      activity: restlessActivity(),
    });
    expect(made.store.outcome).toBeNull();
    expect(made.store.journal).toContainEqual(
      expect.objectContaining({ stepId: 'b', status: 'started' }),
    );
  });

  it('repeats a crash once when all that it had asked was answered', async () => {
    const crash = (): ProviderResult => stepFailed('plugin.crashed', 'gone');
    const made = setUp({ a: { effects: 'write', results: [crash(), crash(), crash()] } });
    await walk(made);
    expect(made.happened.filter((what) => /^(run|replay)/.test(what))).toEqual([
      'run:a#1',
      'run:a#2',
    ]);
    expect(made.store.outcome).toMatchObject({
      status: 'error',
      error: { code: 'plugin.crashed' },
    });
  });

  it('stops without another word when its lease is lost', async () => {
    const made = setUp({ a: { effects: 'write', results: [] }, b: { results: [] } });
    made.store.failures = [new LeaseLost(made.run.lease)];
    await walk(made);
    expect(made.happened).toEqual([]);
  });

  it('waits for a database that went away, and then writes what it had', async () => {
    const made = setUp({ a: { effects: 'write', results: [] } });
    made.store.failures = [0, 1, 2].map(() =>
      Object.assign(new Error('gone'), { code: 'ECONNREFUSED' }),
    );
    await walk(made);
    expect(made.slept).toEqual([250, 250, 250]);
    expect(made.happened).toEqual(['write a=started', 'run:a#1', 'finish:success a=success']);
  });

  it('stops trying when the run is no longer walked here', async () => {
    const made = setUp({ a: { effects: 'write', results: [] } });
    made.store.failures = Array.from({ length: 500 }, () =>
      Object.assign(new Error('gone'), { code: 'ECONNREFUSED' }),
    );
    const stop = new AbortController();
    const walking = made.walker.walk({
      run: made.run,
      signal: stop.signal,
      activity: restlessActivity(),
    });
    stop.abort();
    await expect(walking).rejects.toThrow('gone');
    expect(made.happened).toEqual([]);
  });

  it('begins nothing while the host drains', async () => {
    const made = setUp({ a: { results: [] } });
    made.walker.drain();
    await walk(made);
    expect(made.happened).toEqual([]);
    expect(made.store.outcome).toBeNull();
  });

  it('ends when it has been taken up too often', async () => {
    const made = setUp({ a: { results: [] } });
    await walk({ ...made, run: { ...made.run, takeovers: 26 } });
    expect(made.store.outcome).toMatchObject({
      status: 'error',
      error: { code: 'engine.gave_up' },
    });
  });
});

describe('a run that nobody was told of yet', () => {
  const unstored = (...args: Parameters<typeof setUp>): ReturnType<typeof setUp> => {
    const made = setUp(...args);
    made.run.unstored = { id: 'e', journal: [] as JournalEntry[] } as NewRun;
    return made;
  };
  const start = (made: ReturnType<typeof setUp>) => {
    const activity = restlessActivity({ isStored: false });
    const { signal } = new AbortController();
    const ended = made.walker.walk({ run: made.run, signal, activity });
    return { ended, stored: activity.whenStored() };
  };

  it('is one write when nothing of it has an effect', async () => {
    const made = unstored({ a: { effects: 'read', results: [] }, b: { results: [] } });
    const { ended, stored } = start(made);
    await Promise.all([ended, stored]);
    expect(made.happened).toEqual(['run:a#1', 'run:b#1', 'accept:success a=success b=success']);
  });

  it('is stored before a step may tell anybody of it', async () => {
    const scripts = { a: { results: [] }, b: { effects: 'read' as const, results: [] } };
    for (const [name, params] of Object.entries({
      link: { url: 'https://a.example/?to=${waits.b.url}' },
      id: { url: 'https://a.example/${execution.id}' },
    })) {
      const at = { provider: 'p', action: 'a' };
      const made = unstored(
        scripts,
        [],
        [
          { id: 'a', ...at },
          { id: 'b', ...at, params },
        ],
      );
      const { ended, stored } = start(made);
      await Promise.all([ended, stored]);
      expect([name, made.happened]).toEqual([
        name,
        ['run:a#1', 'accept a=success', 'run:b#1', 'finish:success b=success'],
      ]);
    }
  });

  it('ends as soon as it is known that it cannot be stored, and says why', async () => {
    const made = unstored({ a: { effects: 'read', results: [] } });
    made.store.failures = [new Error('refused')];
    made.onRun = (_, { signal }) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => {
          resolve(stepFailed('step.cancelled', 'stopped'));
        });
      });
    const { ended, stored } = start(made);
    await expect(stored).rejects.toThrow('refused');
    await expect(ended).rejects.toThrow('refused');
    expect(made.happened).toEqual(['run:a#1']);
  });

  it('says so when its walk fails before it is stored', async () => {
    const made = unstored({ a: { results: [] } });
    made.onRun = () => Promise.reject(new Error('broken'));
    const { ended, stored } = start(made);
    await expect(stored).rejects.toThrow('broken');
    await expect(ended).rejects.toThrow('broken');
    expect(made.happened).toEqual(['run:a#1']);
  });
});
