import { describe, expect, it } from '@jest/globals';
import type { WaitTemplate } from '@stepwell/plugin-sdk';

import type { JsonValue } from '../../common/json.js';
import type { ProviderResult } from '../../common/provider-result.js';
import { TieredSandbox } from '../tiered-sandbox.js';
import { findTemplateProblems } from './compile-action.js';
import { answering, callOf, waitAction } from './declarative.fake.js';
import { DeclarativeSandbox } from './declarative-sandbox.js';

const never = new AbortController().signal;

async function run(wait: WaitTemplate, input: JsonValue): Promise<ProviderResult> {
  const isolate = { run: () => Promise.reject(new Error('data needs no isolate')) };
  const sandbox = new TieredSandbox({ declarative: new DeclarativeSandbox(), isolate });
  const host = answering(500, null);
  const result = await sandbox.run(callOf(waitAction(wait), input), host, never);
  expect(host.requests).toEqual([]);
  return result;
}

describe('wait templates', () => {
  it.each<[WaitTemplate, JsonValue, JsonValue]>([
    [
      { kind: 'timer', seconds: '{{ multiply(input.minutes, 60) }}' },
      { minutes: 2 },
      { kind: 'timer', seconds: 120 },
    ],
    [{ kind: 'timer', seconds: 0 }, {}, { kind: 'timer', seconds: 0 }],
    [
      { kind: 'timer', until: '{{ input.day }}T09:00:00Z' },
      { day: '2027-01-31' },
      { kind: 'timer', until: '2027-01-31T09:00:00Z' },
    ],
    [
      { kind: 'approval', message: 'Pay {{ input.sum }}?', timeoutSeconds: '{{ input.timeout }}' },
      { sum: 5, timeout: 60 },
      { kind: 'approval', message: 'Pay 5?', timeoutSeconds: 60 },
    ],
    [
      { kind: 'plan', planId: '{{ input.id }}', input: { n: ['{{ input.n }}'] } },
      { id: 'p', n: 1 },
      { kind: 'plan', planId: 'p', input: { n: [1] } },
    ],
  ])('%j', async (wait, input, output) => {
    expect(await run(wait, input)).toMatchObject({ success: true, output });
  });

  it('leave out what is missing or null, and the false and empty in', async () => {
    const callback: WaitTemplate = { kind: 'callback', timeoutSeconds: '{{ input.timeout }}' };
    for (const input of [{}, { timeout: null }]) {
      const { output } = await run(callback, input);
      expect(output).toEqual({ kind: 'callback' });
    }
    const plan: WaitTemplate = { kind: 'plan', planId: 'p', input: '{{ input.x }}' };
    for (const x of [false, 0, '']) {
      const { output } = await run(plan, { x });
      expect(output).toEqual({ kind: 'plan', planId: 'p', input: x });
    }
  });

  it('say nothing but what they say: the kind is never made from input', async () => {
    const wait: WaitTemplate = { kind: 'approval', message: '{{ input.text }}' };
    const input = { text: '{{ input.kind }}', kind: 'timer', seconds: 0 };
    expect((await run(wait, input)).output).toEqual({
      kind: 'approval',
      message: '{{ input.kind }}',
    });
  });

  it('fail the step like any template', async () => {
    const wait: WaitTemplate = { kind: 'timer', seconds: '{{ multiply(input.n, 60) }}' };
    expect((await run(wait, { n: 'two' })).error).toMatchObject({ code: 'plugin.threw' });
  });
});

describe('findTemplateProblems of a wait', () => {
  it.each<[WaitTemplate, string, RegExp]>([
    [{ kind: 'timer', seconds: '{{ inptu.n }}' }, '/wait/seconds', /no "inptu"/],
    [{ kind: 'timer', seconds: -1 }, '/wait/seconds', /must be 0 to 31536000 seconds/],
    [{ kind: 'timer', seconds: '60' }, '/wait/seconds', /must be 0 to/],
    [{ kind: 'timer', until: 5 }, '/wait/until', /must be a text/],
    [{ kind: 'callback', timeoutSeconds: 0 }, '/wait/timeoutSeconds', /must be 1 to 31536000/],
    [{ kind: 'approval', message: '' }, '/wait/message', /must be a text/],
    [{ kind: 'approval', message: '{{ secret.x }}' }, '/wait/message', /never by an action/],
    [{ kind: 'approval', message: '{{ credential.x }}' }, '/wait/message', /request alone/],
    [{ kind: 'plan', planId: '{{ input.' }, '/wait/planId', /character/],
    [{ kind: 'plan', planId: 'p', input: { a: ['{{ x }}'] } }, '/wait/input/a/0', /no "x"/],
  ])('%j', (wait, pointer, detail) => {
    expect(findTemplateProblems(waitAction(wait))).toEqual([
      { pointer, detail: expect.stringMatching(detail) },
    ]);
  });

  it('finds nothing wrong with what is right, and asks for the part', () => {
    const fine = waitAction({ kind: 'timer', seconds: 31_536_000 });
    expect(findTemplateProblems(fine)).toEqual([]);
    delete fine.wait;
    expect(findTemplateProblems(fine)).toMatchObject([{ pointer: '/wait' }]);
  });
});
