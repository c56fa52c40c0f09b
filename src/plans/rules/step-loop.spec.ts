import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { stepFailed, stepSucceeded } from '../../common/provider-result.js';
import { normaliseSteps } from './plan-definition.js';
import type { StepDefinition } from './plan-definition.js';
import type { StepResult } from './reference-scope.js';
import { nextMove } from './step-loop.js';
import type { NextMove } from './step-loop.js';

const define = (id: string, more: Partial<StepDefinition> = {}): StepDefinition => ({
  id,
  provider: 'p',
  action: 'a',
  ...more,
});
const ok = (output: string): StepResult => ({ status: 'success', result: stepSucceeded(output) });
const failed: StepResult = { status: 'error', result: stepFailed('provider.rejected', 'no') };
const skipped: StepResult = { status: 'skipped' };

function move(
  definitions: StepDefinition[],
  results: Record<string, StepResult>,
  running: string[] = [],
): NextMove {
  return nextMove(normaliseSteps(definitions), {
    results: new Map(Object.entries(results)),
    running: new Set(running),
  });
}

function ready(next: NextMove): string[] | 'finish' {
  return next.kind === 'finish' ? 'finish' : next.ready.map(({ id }) => id);
}

describe('nextMove', () => {
  const chain = [define('a'), define('b'), define('c')];
  const fan = [
    define('a'),
    define('b', { depends_on: [] }),
    define('c', { depends_on: ['a', 'b'] }),
  ];

  it('walks a chain and a fan', () => {
    expect(ready(move(chain, {}))).toEqual(['a']);
    expect(ready(move(chain, {}, ['a']))).toEqual([]);
    expect(ready(move(chain, { a: ok('1') }))).toEqual(['b']);
    expect(ready(move(fan, {}))).toEqual(['a', 'b']);
    expect(ready(move(fan, { a: ok('1') }, ['b']))).toEqual([]);
    expect(ready(move(fan, { a: ok('1'), b: ok('2') }))).toEqual(['c']);
  });

  it('ends with the output of the last step in list order that succeeded', () => {
    const next = move(fan, { c: skipped, b: ok('2'), a: ok('1') });
    expect(next).toEqual({
      kind: 'finish',
      outcome: { status: 'success', output: '2' },
    });
    expect(move([define('a')], { a: skipped })).toMatchObject({
      outcome: { status: 'success', output: null },
    });
  });

  it('takes a skipped step for done', () => {
    expect(ready(move(chain, { a: skipped }))).toEqual(['b']);
  });

  it('stops at a failure: nothing begins, what runs may finish', () => {
    const steps = [...fan, define('d', { depends_on: [] })];
    expect(ready(move(steps, { a: failed }, ['b']))).toEqual([]);
    const next = move(steps, { a: failed, b: ok('2') });
    expect(next).toMatchObject({
      kind: 'finish',
      outcome: {
        status: 'error',
        output: '2',
        error: { code: 'provider.rejected' },
      },
    });
  });

  it('goes on after a failure where the plan says so', () => {
    const steps = [define('a', { on_error: 'continue' }), define('b')];
    expect(ready(move(steps, { a: failed }))).toEqual(['b']);
    expect(move(steps, { a: failed, b: ok('x') })).toMatchObject({
      outcome: { status: 'success', output: 'x' },
    });
    expect(move(steps, { a: failed, b: failed })).toMatchObject({
      outcome: { status: 'error' },
    });
  });

  it('ends every plan without cycles, having begun each step at most once', () => {
    const plan = fc.array(fc.record({ picks: fc.array(fc.nat()), end: fc.nat(3) }), {
      minLength: 1,
      maxLength: 12,
    });
    fc.assert(
      fc.property(plan, (shape) => {
        const steps = normaliseSteps(
          shape.map(({ picks, end }, index) =>
            define(`s${String(index)}`, {
              depends_on:
                index === 0 ? [] : [...new Set(picks.map((pick) => `s${String(pick % index)}`))],
              on_error: end === 3 ? 'stop' : 'continue',
            }),
          ),
        );
        const results = new Map<string, StepResult>();
        for (let turn = 0; turn <= steps.length; turn++) {
          const next = nextMove(steps, { results, running: new Set() });
          if (next.kind === 'finish') {
            const isStopped = next.outcome.status === 'error';
            expect(isStopped || results.size === steps.length).toBe(true);
            return;
          }
          expect(next.ready.length).toBeGreaterThan(0);
          for (const step of next.ready) {
            expect(results.has(step.id)).toBe(false);
            expect(step.dependsOn.every((id) => results.has(id))).toBe(true);
            results.set(
              step.id,
              [ok('x'), skipped, failed, failed][shape[step.index]?.end ?? 0] ?? skipped,
            );
          }
        }
        throw new Error('did not end');
      }),
    );
  });
});
