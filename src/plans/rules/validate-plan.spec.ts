import { describe, expect, it } from '@jest/globals';

import type { JsonObject, JsonSchema } from '../../common/json.js';
import type { ParamsProblem, PlanCatalogue } from './plan-catalogue.js';
import { validatePlan } from './validate-plan.js';
import type { ValidatedPlan } from './validate-plan.js';

const SCHEMAS: Record<string, Record<string, JsonSchema>> = {
  http: { request: { required: ['url'] } },
  logic: { transform: {}, filter: { properties: { where: { 'x-stepwell-expression': true } } } },
};

/** Knows two providers and reports what a test tells it to. */
function catalogue(report: (params: JsonObject) => ParamsProblem[] = () => []): PlanCatalogue {
  return {
    findAction: (provider, action, version) => {
      const actions = SCHEMAS[provider];
      if (provider === 'gated') {
        const detail = 'ask an admin to enable "gated"';
        return {
          status: 'unavailable',
          detail,
          ...(action === 'vault' ? { field: 'action' } : {}),
        };
      }
      if (actions === undefined) return { status: 'unknown_provider', known: Object.keys(SCHEMAS) };
      const inputSchema = actions[action];
      if (inputSchema === undefined)
        return { status: 'unknown_action', known: Object.keys(actions) };
      if (version === '9') return { status: 'unknown_version', known: ['1'] };
      return {
        status: 'found',
        ref: { provider, version: '1', digest: 'sha256-x', action },
        inputSchema,
      };
    },
    validateParams: (_ref, params) => report(params),
    findCredentialProblem: (_ref, credential) =>
      credential === 'forbidden' ? 'is not yours' : null,
  };
}

const http = (more: JsonObject = {}): JsonObject => ({
  provider: 'http',
  action: 'request',
  ...more,
});

async function problemsOf(steps: unknown, from = catalogue()): Promise<[string, string][]> {
  const { problems } = await validatePlan({ steps }, from);
  return problems.map(({ pointer, detail }) => [pointer, detail]);
}

describe('validatePlan', () => {
  it('fills in defaults of a valid plan and says what each step would run', async () => {
    const plan: ValidatedPlan = await validatePlan(
      {
        steps: [
          http({ id: 'get' }),
          http({
            params: { url: '${steps.0.output.next}' },
            retry: { max_attempts: 5, deadline_ms: 604_800_000 },
            timeout_ms: 1000,
          }),
          http({ id: 'root', depends_on: [], on_error: 'continue', credential: 'work' }),
          http({ depends_on: ['get', 'root'], when: '${steps.root.success} && input.x > 1' }),
        ],
      },
      catalogue(),
    );
    expect(plan.problems).toEqual([]);
    expect(plan.steps.map(({ id, dependsOn }) => [id, dependsOn])).toEqual([
      ['get', []],
      ['step_2', ['get']],
      ['root', []],
      ['step_4', ['get', 'root']],
    ]);
    expect(plan.steps[1]).toMatchObject({
      index: 1,
      version: null,
      credential: null,
      when: null,
      timeoutMs: 1000,
      onError: 'stop',
      retry: {
        ...{ maxAttempts: 5, backoffMs: 500, factor: 2, maxBackoffMs: 30_000 },
        deadlineMs: 604_800_000,
      },
    });
    expect(plan.steps[2]).toMatchObject({
      ...{ onError: 'continue', credential: 'work' },
      retry: { deadlineMs: null },
    });
    expect(plan.actions.get('step_4')).toEqual({
      provider: 'http',
      version: '1',
      digest: 'sha256-x',
      action: 'request',
    });
  });

  it.each<[unknown, string, RegExp]>([
    [null, '', /object with "steps"/],
    [[], '', /object with "steps"/],
    [{}, '/steps', /at least one/],
    [{ steps: [] }, '/steps', /at least one/],
    [{ steps: {} }, '/steps', /must be a list/],
    [{ steps: Array(501).fill(http()) }, '/steps', /at most 500/],
    [{ steps: [http({ params: { url: 'x'.repeat(300_000) } })] }, '/steps', /256 KB/],
    [{ steps: [JSON.parse('{"__proto__":{}}')] }, '/steps', /__proto__/],
    [{ edges: [], steps: [http()] }, '/edges', /belong to "nodes"/],
  ])('refuses the plan %#', async (plan, pointer, detail) => {
    const { problems, steps } = await validatePlan(plan, catalogue());
    expect(problems).toEqual([{ pointer, detail: expect.stringMatching(detail) }]);
    expect(steps).toEqual([]);
  });

  it.each<[JsonObject, string, RegExp]>([
    [{ id: '12' }, '/id', /a number is no id/],
    [{ id: 'a b' }, '/id', /letters, digits/],
    [{ id: 'constructor' }, '/id', /reserved/],
    [{ id: 5 }, '/id', /must be text/],
    [{ provider: 7 }, '/provider', /must be text/],
    [{ version: '' }, '/version', /empty/],
    [{ version: '9' }, '/version', /no version "9".*Known: 1/],
    [
      { provider: 'htpp' },
      '/provider',
      /no provider "htpp"; did you mean "http"\? Known: http, logic/,
    ],
    [{ provider: 'gated' }, '/provider', /ask an admin/],
    [{ provider: 'gated', action: 'vault' }, '/action', /ask an admin/],
    [{ action: 'requst' }, '/action', /"http" has no action "requst"; did you mean "request"/],
    [{ params: [] }, '/params', /must be an object/],
    [{ credential: '${input.c}' }, '/credential', /reference is not allowed/],
    [{ depends_on: 'a' }, '/depends_on', /list of step ids/],
    [{ depends_on: [1] }, '/depends_on/0', /id of a step/],
    [{ depends_on: ['nope'] }, '/depends_on/0', /no step "nope"/],
    [{ depends_on: ['step_1'] }, '/depends_on', /wait for one another: step_1 -> step_1/],
    [{ for_each: 5 }, '/for_each', /reference to a list such as "\$\{steps.*or an object/],
    [{ for_each: [1, 2] }, '/for_each', /or an object such as \{ "items": \[1, 2\]/],
    [{ for_each: 'a,b' }, '/for_each', /reference to a list.*nothing around it/],
    [{ for_each: '${input.a}, ${input.b}' }, '/for_each', /nothing around it/],
    [{ for_each: '$${input.list}' }, '/for_each', /nothing around it/],
    [{ for_each: '${input.list' }, '/for_each', /without "}"/],
    [{ for_each: '${steps.nope.output}' }, '/for_each', /no step "nope"/],
    [{ for_each: '${steps.0.output}' }, '/for_each', /itself/],
    [{ for_each: '${item}' }, '/for_each', /only in the "params" of a step that has "for_each"/],
    [{ for_each: {} }, '/for_each', /"items" is missing/],
    [{ for_each: { items: 5 } }, '/for_each/items', /or a list/],
    [{ for_each: { items: 'x' } }, '/for_each/items', /nothing around it/],
    [{ for_each: { items: ['${nope}'] } }, '/for_each/items/0', /no "nope"/],
    [{ for_each: { items: Array(10_001).fill(1) } }, '/for_each/items', /at most 10000 items/],
    [{ for_each: { items: [], concurrency: 101 } }, '/for_each/concurrency', /from 1 to 100/],
    [{ for_each: { items: [], concurrency: 0 } }, '/for_each/concurrency', /from 1 to 100/],
    [{ for_each: { items: [], on_error: 'skip' } }, '/for_each/on_error', /"stop" or "continue"/],
    [{ for_each: { items: [], parallel: 2 } }, '/for_each/parallel', /no field "parallel"/],
    [{ forEach: [] }, '/forEach', /did you mean "for_each"/],
    [{ for_each: '${input}', when: 'item.x' }, '/when', /"item" exists only in the "params"/],
    [{ for_each: '${input}', params: { a: '${items.x}' } }, '/params/a', /did you mean "item"/],
    [{ params: { a: '${index}' } }, '/params/a', /"index" exists only in the "params"/],
    [{ dependsOn: [] }, '/dependsOn', /did you mean "depends_on"/],
    [{ retry: { max_attempts: 0 } }, '/retry/max_attempts', /from 1 to 50/],
    [{ retry: { factor: '2' } }, '/retry/factor', /number from 1/],
    [{ retry: { deadline_ms: 0 } }, '/retry/deadline_ms', /whole number from 1 to 604800000/],
    [{ retry: { deadline_ms: 604_800_001 } }, '/retry/deadline_ms', /from 1 to 604800000/],
    [{ retry: { jitter: true } }, '/retry/jitter', /no field "jitter"/],
    [{ retry: 3 }, '/retry', /must be an object/],
    [{ timeout_ms: 1.5 }, '/timeout_ms', /whole number/],
    [{ on_error: 'retry' }, '/on_error', /"stop" or "continue"/],
    [{ when: '' }, '/when', /empty/],
    [{ when: true }, '/when', /must be text/],
    [{ when: '${input.x} =' }, '/when', /"==".*character 12/],
    [{ when: 'steps.nope.success' }, '/when', /no step "nope"/],
    [{ when: 'inptu.x' }, '/when', /no "inptu"; did you mean "input"/],
    [{ params: { a: ['${oops'] } }, '/params/a/0', /without "}"/],
    [{ params: { a: '${foo.x}' } }, '/params/a', /\$\{foo\.x\}: there is no "foo"/],
    [{ params: { a: '${item.x}' } }, '/params/a', /for_each/],
    [{ params: { a: '${execution.name}' } }, '/params/a', /execution\.id/],
    [{ params: { a: '${steps.0.output}' } }, '/params/a', /itself/],
    [{ params: { a: '${steps.5.output}' } }, '/params/a', /the last is 0/],
    [{ params: { a: '${steps}' } }, '/params/a', /name a step/],
    [{ params: { a: '${steps.step_1.out}' } }, '/params/a', /no "out".*did you mean "output"/],
  ])('finds what is wrong with a step: %j', async (more, pointer, detail) => {
    expect(await problemsOf([http(more)])).toEqual([
      [`/steps/0${pointer}`, expect.stringMatching(detail)],
    ]);
  });

  it('takes items and their places in the params of a step with for_each', async () => {
    const params = { url: '${item.url}', at: '${index}', all: '${steps.list.output[0]}' };
    const list = http({ id: 'list' });
    const plan = { steps: [list, http({ for_each: '${steps.list.output}', params })] };
    const { problems, steps } = await validatePlan(plan, catalogue());
    expect(problems).toEqual([]);
    expect(steps.map(({ forEach }) => forEach)).toEqual([
      null,
      { items: '${steps.list.output}', concurrency: 10, onError: 'stop' },
    ]);
    const more = { items: [1, '${input.x}'], concurrency: 3, on_error: 'continue' };
    const other = await validatePlan({ steps: [http({ for_each: more, params })] }, catalogue());
    expect(other.problems.map(({ pointer }) => pointer)).toEqual(['/steps/0/params/all']);
    const fine = await validatePlan({ steps: [http({ for_each: more })] }, catalogue());
    expect(fine.steps[0]?.forEach).toEqual({
      ...{ items: [1, '${input.x}'], concurrency: 3, onError: 'continue' },
    });
  });

  it('asks for provider and action', async () => {
    expect(await problemsOf([{}, 'x'])).toEqual([
      ['/steps/0', '"provider" is missing'],
      ['/steps/0', '"action" is missing'],
      ['/steps/1', 'a step must be an object'],
    ]);
  });

  it('reports all problems at once, step by step', async () => {
    const problems = await problemsOf([
      http({ id: 'a', depends_on: ['c'] }),
      http({ id: 'a', when: '!!', timeout_ms: -1 }),
      http({ id: 'c', depends_on: ['a'], params: { x: '${steps.a.nope}', y: '${' } }),
      http({ id: 'step_5' }),
      { provider: 'nope', action: 'x' },
    ]);
    expect(problems.map(([pointer]) => pointer)).toEqual([
      '/steps/0/depends_on',
      '/steps/1/timeout_ms',
      '/steps/1/id',
      '/steps/1/when',
      '/steps/2/params/y',
      '/steps/2/params/x',
      '/steps/4',
      '/steps/4/provider',
    ]);
    expect(problems[0]?.[1]).toMatch(/a -> c -> a/);
    expect(problems[6]?.[1]).toMatch(/"step_5" is taken by \/steps\/3/);
  });

  it('refuses references to steps that are not done before', async () => {
    const steps = [
      http({ id: 'a' }),
      http({ id: 'b', depends_on: [] }),
      http({ id: 'c', depends_on: ['a'], params: { url: '${steps.b.output} ${steps.0.output}' } }),
    ];
    expect(await problemsOf(steps)).toEqual([
      [
        '/steps/2/params/url',
        expect.stringMatching(/step "b" is not done before this one: add it/),
      ],
    ]);
  });

  it('leaves expressions of the action alone', async () => {
    const filter = { provider: 'logic', action: 'filter', params: { where: '${item.x} > 1' } };
    expect(await problemsOf([filter])).toEqual([]);
  });

  it('stops looking after many problems', async () => {
    const params = Object.fromEntries(
      Array.from({ length: 5000 }, (_, i) => [`p${String(i)}`, '${nope.x}']),
    );
    expect(await problemsOf([http({ params })])).toHaveLength(200);
  });
});

describe('params against the schema', () => {
  const params = {
    url: '${input.url}',
    count: 'three',
    target: { kind: '${input.kind}', id: 5 },
    plain: { kind: 'x' },
  };

  async function kept(...reported: ParamsProblem[]): Promise<string[]> {
    const problems = await problemsOf(
      [http({ params })],
      catalogue(() => reported),
    );
    return problems.map(([pointer]) => pointer);
  }
  const problem = (pointer: string, keyword: string, schemaPath?: string): ParamsProblem => ({
    pointer,
    detail: keyword,
    keyword,
    ...(schemaPath === undefined ? {} : { schemaPath }),
  });

  it('keeps what no reference can change', async () => {
    expect(
      await kept(
        problem('', 'required'),
        problem('/count', 'type'),
        problem('/target', 'additionalProperties'),
      ),
    ).toEqual(['/steps/0/params', '/steps/0/params/count', '/steps/0/params/target']);
  });

  it('drops what concerns a text with a reference', async () => {
    expect(await kept(problem('/url', 'format'), problem('/target/kind', 'enum'))).toEqual([]);
  });

  it('drops a choice that a reference takes part in, with its branches', async () => {
    const base = '#/properties/target/oneOf';
    expect(
      await kept(
        problem('/target', 'oneOf', base),
        problem('/target/id', 'type', `${base}/0/properties/id/type`),
        problem('/target', 'required', `${base}/1/required`),
        problem('/target', 'required', '#/$defs/target/required'),
        problem('/target', 'minProperties', '#/properties/target/minProperties'),
        problem('/plain', 'anyOf', '#/properties/plain/anyOf'),
        problem('', 'required', '#/required'),
      ),
    ).toEqual(['/steps/0/params/target', '/steps/0/params/plain', '/steps/0/params']);
  });

  it('drops the branches of an if that a reference decides', async () => {
    expect(
      await kept(
        problem('', 'if', '#/if'),
        problem('', 'required', '#/then/required'),
        problem('', 'required', '#/required'),
      ),
    ).toEqual(['/steps/0/params']);
  });
});
