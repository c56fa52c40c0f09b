import { describe, expect, it } from '@jest/globals';

import type { JsonObject } from '../../common/json.js';
import type { FoundAction, PlanCatalogue, WaitKind } from './plan-catalogue.js';
import { validatePlan } from './validate-plan.js';

const KINDS: Record<string, WaitKind> = {
  ...{ delay: 'timer', callback: 'callback', approval: 'approval', run: 'plan' },
};

/** Knows every action of `wait`, that `logic` never waits, and of others only that they are there. */
const catalogue: PlanCatalogue = {
  findAction(provider, action): FoundAction {
    if (provider === 'gone') return { status: 'unknown_provider', known: [] };
    const hasTimeout = action === 'callback' || action === 'approval';
    const found = {
      status: 'found' as const,
      ref: { provider, version: '1', digest: 'sha256-x', action },
      inputSchema: hasTimeout ? { properties: { timeout_seconds: {} } } : {},
    };
    if (provider === 'wait') return { ...found, waitKind: KINDS[action] ?? null };
    return provider === 'logic' ? { ...found, waitKind: null } : found;
  },
  validateParams: () => [],
  findCredentialProblem: () => null,
};

const step = (name: string, more: JsonObject = {}): JsonObject => {
  const [provider = '', action = ''] = name.split('.');
  return { provider, action, ...more };
};

const asking = (reference: string, more: JsonObject = {}): JsonObject =>
  step('logic.set', { id: 'ask', depends_on: [], params: { text: reference }, ...more });

async function problemsOf(...steps: JsonObject[]): Promise<[string, string][]> {
  const { problems } = await validatePlan({ steps }, catalogue);
  return problems.map(({ pointer, detail }) => [pointer, detail]);
}

describe('references to waits', () => {
  it.each(['wait.approval', 'wait.callback', 'other.unknown'])(
    'may be made to %s, which usually comes later and is waited for by nobody',
    async (name) => {
      const steps = [
        asking('Decide: ${waits.decide.url} ${waits["decide"].url}'),
        step(name, { id: 'decide', depends_on: ['ask'] }),
        step('logic.set', { params: { also: '${waits.decide.url}' } }),
      ];
      const { problems, steps: made } = await validatePlan({ steps }, catalogue);
      expect(problems).toEqual([]);
      expect(made.map(({ dependsOn }) => dependsOn)).toEqual([[], ['ask'], ['decide']]);
    },
  );

  it.each<[string, RegExp]>([
    ['${waits.dcide.url}', /no step "dcide"; did you mean "decide"\? Known: decide$/],
    ['${waits.1.url}', /by the id of its step, not by a place/],
    ['${waits[1].url}', /by the id of its step, not by a place/],
    ['${waits}', /name a step: "waits\.<step id>\.url"/],
    ['${waits.decide}', /only its "url" exists/],
    ['${waits.decide.token}', /only its "url" exists/],
    ['${waits.decide.url.host}', /only its "url" exists/],
    ['${waits.ask.url}', /a step cannot refer to its own wait/],
    ['${waits.plain.url}', /step "plain" doesn't wait: only waits for a callback or an approval/],
    ['${waits.rest.url}', /step "rest" waits for a time: only waits for a callback/],
    ['${waits.sub.url}', /step "sub" waits for a plan: only waits for a callback/],
    ['${wait.decide.url}', /no "wait"; did you mean "waits"\? Known: .*execution, waits$/],
  ])('are refused: %s', async (reference, detail) => {
    const others = [
      step('wait.approval', { id: 'decide' }),
      step('logic.set', { id: 'plain' }),
      step('wait.delay', { id: 'rest' }),
      step('wait.run', { id: 'sub' }),
    ];
    expect(await problemsOf(asking(reference), ...others)).toEqual([
      ['/steps/0/params/text', expect.stringMatching(detail)],
    ]);
  });

  it('are held to their structure alone where the action is not known', async () => {
    const gone = step('gone.approve', { id: 'decide' });
    expect(await problemsOf(asking('${waits.decide.url} ${waits.decide.x}'), gone)).toEqual([
      ['/steps/0/params/text', '${waits.decide.x}: of a wait only its "url" exists'],
      ['/steps/1/provider', expect.stringMatching(/no provider "gone"/)],
    ]);
  });

  it('to the items of a for_each are made by items alone', async () => {
    const decide = step('wait.approval', { id: 'decide', for_each: '${input.list}' });
    const refusal = expect.stringMatching(/once for each item: only the "params" of a step that/);
    const url = '${waits.decide.url}';
    expect(await problemsOf(asking(url, { for_each: '${input.list}' }), decide)).toEqual([]);
    expect(await problemsOf(asking(url), decide)).toEqual([['/steps/0/params/text', refusal]]);
    const inside = asking('x', { for_each: [url], when: `${url} != ""` });
    inside['for_each'] = { items: [url] };
    expect(await problemsOf(inside, decide)).toEqual([
      ['/steps/0/when', refusal],
      ['/steps/0/for_each/items/0', refusal],
    ]);
    const single = step('wait.approval', { id: 'decide' });
    expect(await problemsOf(asking(url, { for_each: '${input.list}' }), single)).toEqual([]);
  });

  it('lead nowhere in a single step, whatever ran elsewhere', async () => {
    const given = { given: ['decide'] };
    const plan = { steps: [asking('${waits.decide.url}')] };
    const { problems } = await validatePlan(plan, catalogue, given);
    expect(problems).toEqual([
      {
        pointer: '/steps/0/params/text',
        detail: '${waits.decide.url}: there is no step "decide"',
      },
    ]);
  });
});

describe('a step that waits', () => {
  it.each<[string, RegExp | null]>([
    ['wait.approval', /on a step that waits; say "timeout_seconds" in "params" instead$/],
    ['wait.callback', /say "timeout_seconds" in "params" instead$/],
    ['wait.delay', /its action has no limit to set: leave it out$/],
    ['wait.run', /leave it out$/],
    ['logic.set', null],
    ['other.unknown', null],
  ])('takes no timeout_ms: %s', async (name, detail) => {
    const problems = await problemsOf(step(name, { timeout_ms: 1000 }));
    const expected =
      detail === null ? [] : [['/steps/0/timeout_ms', expect.stringMatching(detail)]];
    expect(problems).toEqual(expected);
  });
});
