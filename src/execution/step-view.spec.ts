import { describe, expect, it } from '@jest/globals';

import { ExecutionLog } from './execution-log.entity.js';
import type { ExecutionStatus } from './execution-status.js';
import { Execution } from './execution.entity.js';
import { WHOLE_STEP } from './run-store.js';
import { toStepView, type StepView } from './step-view.js';

const log = (iteration: number, attempt: number, more: Partial<ExecutionLog>): ExecutionLog =>
  Object.assign(new ExecutionLog(), {
    ...{ stepId: 'a', iteration, attempt, startedAt: new Date(0), finishedAt: null },
    ...{ output: null, message: null, metadata: null, error: null, input: {} },
    ...more,
  });
const started = (iteration: number, attempt = 1): ExecutionLog =>
  log(iteration, attempt, { status: 'started', input: { total: 4 } });
const done = (iteration: number, output: string): ExecutionLog =>
  log(iteration, 1, { status: 'success', output });
const failed = (iteration: number, attempt = 1, metadata = {}): ExecutionLog =>
  log(iteration, attempt, {
    status: 'error',
    error: { code: 'provider.rejected', message: 'no', retryable: false },
    metadata,
  });

function view(
  status: ExecutionStatus,
  logs: ExecutionLog[],
  { forgiven = {}, forEach = true }: { forgiven?: Record<string, number>; forEach?: boolean } = {},
): StepView {
  const execution = Object.assign(new Execution(), { status, forgiven });
  const step = { provider: 'p', action: 'x', ...(forEach && { for_each: '${input}' }) };
  return toStepView({ id: 'a', step }, execution, logs);
}

describe('a step with for_each', () => {
  it('shows how far it is, and its list once it is done', () => {
    const items = [started(WHOLE_STEP), done(0, 'x'), started(1), failed(2), done(3, 'y')];
    expect(view('running', items)).toMatchObject({
      status: 'running',
      attempts: 1,
      result: null,
      iterations: { total: 4, succeeded: 2, failed: 1, running: 1 },
    });
    const end = log(WHOLE_STEP, 1, { status: 'success', input: { total: 4 }, message: 'ok' });
    expect(
      view('success', [end, done(3, 'y'), failed(2), done(0, 'x'), failed(1, 3)]),
    ).toMatchObject({
      status: 'success',
      attempts: 3,
      result: { success: true, output: ['x', null, null, 'y'] },
      iterations: { total: 4, succeeded: 2, failed: 2, running: 0 },
    });
  });

  it('has no total before it begins', () => {
    expect(view('queued', [])).toMatchObject({
      status: 'pending',
      iterations: { total: null, succeeded: 0, failed: 0, running: 0 },
    });
    expect(view('running', [], { forEach: false })).not.toHaveProperty('iterations');
  });

  it('rests while the execution does', () => {
    const waiting = failed(1, 1, { next_attempt_in_ms: 500 });
    const items = [started(WHOLE_STEP), done(0, 'x'), waiting];
    expect(view('paused', items)).toMatchObject({
      status: 'pending',
      iterations: { total: 4, succeeded: 1, failed: 0, running: 0 },
    });
    expect(view('running', items)).toMatchObject({ iterations: { running: 1 } });
  });

  it('is retried together with the items that were forgiven', () => {
    const items = [failed(WHOLE_STEP), done(0, 'x'), failed(1)];
    expect(view('error', items)).toMatchObject({ status: 'error', iterations: { failed: 1 } });
    const forgiven = { 'a#-1': 1, 'a#1': 1 };
    expect(view('queued', items, { forgiven })).toMatchObject({
      status: 'retrying',
      iterations: { succeeded: 1, failed: 0, running: 1 },
    });
    // It failed once more.
    const again = [...items, failed(WHOLE_STEP, 2), failed(1, 2)];
    expect(view('error', again, { forgiven })).toMatchObject({ status: 'error' });
  });

  it('ends with an execution that is given up or cancelled', () => {
    expect(view('error', [started(WHOLE_STEP), done(0, 'x')])).toMatchObject({
      status: 'cancelled',
    });
    expect(view('cancelled', [])).toMatchObject({ status: 'cancelled' });
  });
});

describe('a plain step', () => {
  const plain = (status: ExecutionStatus, logs: ExecutionLog[], forgiven = {}) =>
    view(status, logs, { forgiven, forEach: false });

  it('is retrying when its failure was forgiven, until it is tried again', () => {
    expect(plain('queued', [failed(0, 3)], { 'a#0': 3 })).toMatchObject({ status: 'retrying' });
    expect(plain('paused', [failed(0, 3)], { 'a#0': 3 })).toMatchObject({ status: 'pending' });
    expect(plain('running', [failed(0, 3), started(0, 4)], { 'a#0': 3 })).toMatchObject({
      status: 'running',
      attempts: 4,
    });
    expect(plain('error', [failed(0, 3)], { 'a#0': 2 })).toMatchObject({ status: 'error' });
  });

  it('is skipped when its condition says so at last', () => {
    const skipped = log(0, 0, { status: 'skipped' });
    expect(plain('success', [skipped, failed(0)], { 'a#0': 1 })).toMatchObject({
      ...{ status: 'skipped', result: null },
    });
  });
});
