import { describe, expect, it } from '@jest/globals';
import type { CredentialManifest, HttpTemplate } from '@stepwell/plugin-sdk';
import fc from 'fast-check';

import type { JsonValue } from '../../common/json.js';
import { findTemplateProblems } from './compile-action.js';
import {
  answering,
  callOf,
  httpAction,
  SCHEMA_WITH_WHERE,
  valueAction,
} from './declarative.fake.js';
import { DeclarativeSandbox } from './declarative-sandbox.js';

function problems(value: JsonValue, input: JsonValue = true): string[] {
  const found = findTemplateProblems(valueAction(value, { input: input as boolean }));
  return found.map(({ pointer, detail }) => `${pointer}: ${detail}`);
}

function httpProblems(http: Partial<HttpTemplate>, credential?: string): string[] {
  const found = findTemplateProblems(
    httpAction(http, credential === undefined ? {} : { credential }),
  );
  return found.map(({ pointer, detail }) => `${pointer}: ${detail}`);
}

describe('findTemplateProblems', () => {
  it('finds nothing wrong with what is right', () => {
    expect(problems({ a: ['{{ input.x ?? 1 }}'], b: { $if: 'input.y', then: 1 } })).toEqual([]);
    const where: JsonValue = {
      $each: 'input.items',
      where: { $evaluate: '/where' },
      do: '{{item}}',
    };
    expect(problems(where, SCHEMA_WITH_WHERE)).toEqual([]);
    expect(
      httpProblems(
        {
          url: '{{credential.base_url}}/x/{{input.id}}?a={{input.a}}',
          headers: { 'Idempotency-Key': '{{idempotencyKey}}' },
          okWhen: 'response.status < 300',
          output: { x: '{{response.body}}', y: '{{input.a}}' },
        },
        'key',
      ),
    ).toEqual([]);
    expect(findTemplateProblems({ ...valueAction('{{'), form: 'code' })).toEqual([]);
  });

  it.each<[JsonValue, RegExp]>([
    [{ 'a/b': ['{{ 1 + }}'] }, /^\/value\/a~1b\/0: "\+" is not supported.*character 6/],
    ['{{ nope.x }}', /^\/value: "nope\.x" can't be used here: there is no "nope"\. Known: input/],
    ['{{ secret.token }}', /never by an action/],
    ['{{ credential.x }}', /request alone/],
    ['{{ response.x }}', /before the request/],
    ['{{ item }}', /only inside \$each/],
    ['{{ run(input) }}', /no function "run"/],
    ['{{ input.__proto__ }}', /not allowed/],
    [{ $if: 'true', then: 1, els: 2 }, /\/value\/els: not known here/],
    [{ $if: 'true' }, /"then" is missing/],
    [{ $if: true, then: 1 }, /\/value\/\$if: must be an expression/],
    [{ $each: 'input.a' }, /"do" is missing/],
    [{ $each: 'input.a', as: 'input', do: 1 }, /name of its own/],
    [{ $each: 'input.a', as: 'a-b', do: 1 }, /name of its own/],
    [{ $each: 'input.a', do: { $each: 'item', do: 1 } }, /already stands/],
    [{ $each: 'input.a', $if: 'true', then: 1, do: 1 }, /only one of/],
    [{ $evaluate: '/where' }, /marks "x-stepwell-expression"/],
    [{ '{{input.k}}': 1 }, /holds no expressions/],
    [JSON.parse('{"__proto__":1}') as JsonValue, /name "__proto__" is not allowed/],
    [Array(6000).fill(1) as number[], /at most 5000 parts/],
    [JSON.parse('['.repeat(40) + ']'.repeat(40)) as JsonValue, /deeper than 32/],
  ])('finds what is wrong with %j', (value, expected) => {
    expect(problems(value)).toEqual([expect.stringMatching(expected)]);
  });

  it('lets only marked parameters be evaluated', () => {
    expect(problems({ $evaluate: '/items' }, SCHEMA_WITH_WHERE)).toEqual([
      expect.stringMatching(/\$evaluate: must point/),
    ]);
  });

  it('knows the members of a closed input schema', () => {
    expect(problems('{{ input.wher }}', SCHEMA_WITH_WHERE)).toEqual([
      '/value: the input schema has no "wher"',
    ]);
  });

  it.each<[Partial<HttpTemplate>, RegExp]>([
    [{ url: 'ftp://x/' }, /\/http\/url: must begin with https/],
    [{ url: '{{input.base}}v1' }, /after the base URL/],
    [{ url: '{{input.base}}{{input.path}}' }, /after the base URL/],
    [{ url: 'https://a.example/x#y' }, /fragment/],
    [{ url: 'https://a.example/../x' }, /"\.\." in its path/],
    [{ url: 'https://a.example/a b' }, /spaces/],
    [{ url: '{{response.x}}' }, /before the request/],
    [{ url: '{{credential.base_url}}/x' }, /only if the action names one/],
    [{ method: 'TRACE' }, /\/http\/method: must be one of/],
    [{ body: 1, form: {} }, /only one of them/],
    [{ bodyAs: 'textOrJson' }, /\/http\/bodyAs: .*there is none/],
    [{ timeoutMs: 0 }, /\/http\/timeoutMs: must be 1 to 300000 milliseconds/],
    [{ timeoutMs: '5' }, /\/http\/timeoutMs: must be 1/],
    [{ timeoutMs: '{{response.status}}' }, /\/http\/timeoutMs: .*before the request/],
    [{ require: [{ that: '{{input.a}}', message: '' }] }, /\/http\/require\/0\/that: "\{"/],
    [{ require: [{ that: 'true', message: '{{idempotencyKey}}' }] }, /\/require\/0\/message/],
    [{ require: [{ that: 'response.status', message: '' }] }, /before the request/],
    [{ query: [] as unknown as Record<string, never> }, /\/http\/query: must be an object/],
    [{ okWhen: '{{response.ok}}' }, /\/http\/okWhen: "\{" is not expected/],
    [{ url: 'https://a.example/?key={{secret.key}}' }, /\/http\/url: .*never by an action/],
    [{ errorCode: '{{response.ok}}' }, /\/http\/errorCode: "\{" is not expected/],
    [{ errorCode: 'credential.x' }, /\/http\/errorCode: .*request alone/],
    [{ output: '{{idempotencyKey}}' }, /no "idempotencyKey"/],
    [{ headers: { a: '{{secret.key}}' } }, /\/http\/headers\/a: .*never by an action/],
  ])('finds what is wrong with a request: %j', (http, expected) => {
    expect(httpProblems(http)).toEqual([expect.stringMatching(expected)]);
  });

  it('knows the fields of the credential, where its type is at hand', () => {
    const credential: CredentialManifest = {
      id: 'key',
      kind: 'api_key',
      fields: [
        { name: 'api_key', secret: true, required: true },
        { name: 'base_url', secret: false, required: true, format: 'url' },
      ],
      hosts: [{ fromField: 'base_url' }],
      inject: { query: { key: '{{secret.api_key}}' } },
    };
    const action = httpAction(
      {
        url: '{{ credential.base_url }}/{{ credential.api_key }}',
        query: { a: '{{ credential.accuont }}', b: '{{ credential }}' },
        headers: { c: '{{ secret.api_key }}' },
      },
      { credential: 'key' },
    );
    expect(findTemplateProblems(action, credential)).toEqual([
      {
        pointer: '/http/url',
        detail: expect.stringMatching(/"api_key" of the credential is secret/),
      },
      { pointer: '/http/query/a', detail: 'the credential "key" has no field "accuont"' },
      { pointer: '/http/headers/c', detail: expect.stringMatching(/never by an action/) },
    ]);
    // Without it, the running sandbox takes what intake has passed.
    expect(findTemplateProblems(action).map(({ pointer }) => pointer)).toEqual(['/http/headers/c']);
  });

  it('asks for the part that the form needs', () => {
    const bare = valueAction(1);
    delete bare.value;
    expect(findTemplateProblems(bare)).toMatchObject([{ pointer: '/value' }]);
    expect(findTemplateProblems({ ...bare, form: 'http' })).toMatchObject([{ pointer: '/http' }]);
  });
});

describe('templates under random input', () => {
  const text = fc
    .array(
      fc.constantFrom(
        '{{',
        '}}',
        'input',
        '.a',
        'item',
        ' ?? ',
        '"',
        'first(',
        ')',
        '${',
        '}',
        'x',
        '[0]',
        ',',
      ),
      { maxLength: 12 },
    )
    .map((pieces) => pieces.join(''));
  const template = fc.letrec<{ any: JsonValue }>((tie) => ({
    any: fc.oneof(
      { maxDepth: 4 },
      text,
      fc.constantFrom<JsonValue>('{{input}}', '{{ input.a }}', 'a {{item}}', 1, null),
      fc.array(tie('any'), { maxLength: 4 }),
      fc.dictionary(
        fc.constantFrom('a', '$if', '$each', '$spread', '$evaluate', 'then', 'do', 'as'),
        tie('any'),
      ),
      fc.record({ $each: fc.constantFrom('input', 'input.a', 'item'), do: tie('any') }),
      fc.record({
        $if: fc.constantFrom('input.a', 'item == 1'),
        then: tie('any'),
        else: tie('any'),
      }),
    ),
  })).any;

  it('yields a result that is JSON, whatever the template and the input', async () => {
    const sandbox = new DeclarativeSandbox();
    const never = new AbortController().signal;
    await fc.assert(
      fc.asyncProperty(template, fc.jsonValue({ maxDepth: 3 }), async (value, input) => {
        const call = callOf(valueAction(value), input as JsonValue);
        const result = await sandbox.run(call, answering(500, null), never);
        expect(result.success).toBe(result.error === null);
        expect(JSON.parse(JSON.stringify(result.output))).toEqual(structuredClone(result.output));
      }),
      { numRuns: 500 },
    );
  });
});
