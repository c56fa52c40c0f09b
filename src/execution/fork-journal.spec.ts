import { expect, it } from '@jest/globals';

import { normaliseSteps, type StepDefinition } from '../plans/rules/plan-definition.js';
import type { ExecutionLog } from './execution-log.entity.js';
import { forkJournal } from './fork-journal.js';
import { WHOLE_STEP } from './run-store.js';

const step = (id: string, rest: Partial<StepDefinition> = {}): StepDefinition => ({
  id,
  provider: 'p',
  action: 'a',
  ...rest,
});

const log = (stepId: string, rest: Partial<ExecutionLog> = {}): ExecutionLog =>
  ({
    stepId,
    iteration: 0,
    attempt: 1,
    provider: 'p',
    action: 'a',
    version: '1.0.0',
    status: 'success',
    input: {},
    output: `${stepId} gave this`,
    message: null,
    metadata: {},
    error: null,
    latencyMs: 3,
    startedAt: new Date(0),
    finishedAt: new Date(3),
    ...rest,
  }) as ExecutionLog;

const failed = (stepId: string, code = 'provider.rejected', rest = {}): ExecutionLog =>
  log(stepId, {
    status: 'error',
    output: null,
    error: { code, message: 'no', retryable: false } as ExecutionLog['error'],
    ...rest,
  });

/** What is kept, as `<step>#<iteration>@<attempt>`. */
function kept(given: {
  from: string;
  steps: StepDefinition[];
  logs: ExecutionLog[];
  before?: StepDefinition[];
}): string[] {
  const { from: fromStep, steps, logs, before = steps } = given;
  const origin = { id: 'o', steps: normaliseSteps(before), logs };
  return forkJournal({ fromStep, steps: normaliseSteps(steps), origin }).map(
    (entry) => `${entry.stepId}#${String(entry.iteration)}@${String(entry.attempt)}`,
  );
}

it('keeps what does not come after the step, also beside it', () => {
  const steps = [
    step('root'),
    step('left', { depends_on: ['root'] }),
    step('right', { depends_on: ['root'] }),
    step('join', { depends_on: ['left', 'right'] }),
  ];
  const logs = ['root', 'left', 'right', 'join'].map((id) => log(id));
  expect(kept({ from: 'left', steps, logs })).toEqual(['root#0@1', 'right#0@1']);
  expect(kept({ from: 'root', steps, logs })).toEqual([]);
  expect(kept({ from: 'join', steps, logs })).toEqual(['root#0@1', 'left#0@1', 'right#0@1']);
});

it('keeps the last attempt of each with its number, and says where it came from', () => {
  const steps = [step('a'), step('b')];
  const logs = [failed('a'), log('a', { attempt: 2, metadata: { attempts: 2 } })];
  const origin = { id: 'o', steps: normaliseSteps(steps), logs };
  const journal = forkJournal({ fromStep: 'b', steps: normaliseSteps(steps), origin });
  expect(journal).toEqual([
    expect.objectContaining({
      stepId: 'a',
      attempt: 2,
      status: 'success',
      result: {
        success: true,
        output: 'a gave this',
        message: '',
        metadata: { attempts: 2, copied_from: 'o' },
        error: null,
      },
    }),
  ]);
});

it('runs anew what had not ended: failures that stopped it, intents, retries and what was cancelled', () => {
  const steps = ['stop', 'intent', 'retrying', 'cancelled', 'passed', 'skipped'].map((id) =>
    step(id, { depends_on: [], on_error: id === 'stop' ? 'stop' : 'continue' }),
  );
  const logs = [
    failed('stop'),
    log('intent', { status: 'started' }),
    failed('retrying', 'provider.unavailable', { metadata: { next_attempt_in_ms: 5 } }),
    failed('cancelled', 'step.cancelled'),
    failed('passed'),
    log('skipped', { status: 'skipped', attempt: 0 }),
  ];
  const given = { from: 'end', steps: [...steps, step('end')], logs };
  expect(kept(given)).toEqual(['passed#0@1', 'skipped#0@0']);
});

it('keeps all items of a step that ended as a whole, and none of one that did not', () => {
  const steps = [step('each', { for_each: '${input.items}' }), step('end')];
  const items = [
    log('each', { iteration: 0 }),
    failed('each', 'provider.rejected', { iteration: 1 }),
  ];
  const whole = log('each', { iteration: WHOLE_STEP });
  expect(kept({ from: 'end', steps, logs: items })).toEqual([]);
  expect(kept({ from: 'end', steps, logs: [...items, whole] })).toEqual([
    'each#0@1',
    'each#1@1',
    `each#${String(WHOLE_STEP)}@1`,
  ]);
});

it('runs anew what another version made another step, and what comes after that', () => {
  const before = [
    step('a'),
    step('b'),
    step('gone'),
    step('alone', { depends_on: [] }),
    step('end'),
  ];
  const steps = [
    step('a', { action: 'other' }),
    step('b'),
    step('new'),
    step('alone', { depends_on: [] }),
    step('end', { depends_on: ['new', 'alone'] }),
  ];
  const logs = before.map(({ id }) => log(id ?? ''));
  expect(kept({ from: 'end', before, steps, logs })).toEqual(['alone#0@1']);
  expect(kept({ from: 'end', steps: before, logs })).toHaveLength(4);
});
