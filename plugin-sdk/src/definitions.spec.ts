import { describe, expect, it } from '@jest/globals';
import * as z from 'zod';

import { defineAction } from './define-action.js';
import { definePlugin } from './define-plugin.js';
import type { KernelContext } from './runtime.js';

const anything = { type: 'object' } as const;

describe('defineAction', () => {
  it('names every wrong field and says what to write', () => {
    const wrong = { id: 'Send-Message', idempotency: 'maybe', input: 'string', effect: 'read' };
    const define = (): unknown => Reflect.apply(defineAction, null, [wrong]);
    expect(define).toThrow(TypeError);
    expect(define).toThrow(/`effect` isn't known.*`id` must be 1 to 64 lower-case/s);
    expect(define).toThrow(/`input` must be a JSON Schema.*`output` is missing/s);
    expect(define).toThrow(/`effects` is missing.*`idempotency` must be one of.*`run` is missing/s);
  });

  it.each([
    ['run and http', { run: () => null, http: { method: 'GET', url: 'https://a.example/' } }],
    ['http and value', { http: { method: 'GET', url: 'https://a.example/' }, value: 1 }],
  ])('refuses %s together', (_name, forms) => {
    const definition = { id: 'two', effects: 'none', input: anything, output: {}, ...forms };
    expect(() => Reflect.apply(defineAction, null, [definition]) as unknown).toThrow(
      /give only one of/,
    );
  });

  it('makes of a wait what it is: without effects, and naturally idempotent', () => {
    const definition = { id: 'rest', input: anything, output: {} };
    const action = defineAction({ ...definition, wait: { kind: 'timer', seconds: 5 } });
    const [described] = definePlugin({ id: 'waits', actions: [action] }).describe().actions;
    expect(described).toEqual({
      ...definition,
      form: 'wait',
      effects: 'none',
      idempotency: 'natural',
      wait: { kind: 'timer', seconds: 5 },
    });
  });

  it.each<[object, RegExp]>([
    [{ effects: 'write' }, /`effects` must be one of "none"$/],
    [{ idempotency: 'key' }, /`idempotency` must be one of "natural"$/],
    [
      { credential: { inject: {} } },
      /`credential` is of no use: values and waits send no request$/,
    ],
    [{ value: 1 }, /`wait` stands beside `value`: give only one of/],
  ])('refuses the wait %j', (change, message) => {
    const fine = { id: 'rest', input: anything, output: {}, wait: { kind: 'timer', seconds: 1 } };
    expect(() => Reflect.apply(defineAction, null, [fine]) as unknown).not.toThrow();
    const wrong = { ...fine, ...change };
    expect(() => Reflect.apply(defineAction, null, [wrong]) as unknown).toThrow(message);
  });

  it('refuses a Standard Schema that can not be written as JSON Schema', () => {
    const input = { '~standard': { version: 1, vendor: 'old', validate: () => ({ value: 1 }) } };
    const definition = { id: 'old', effects: 'none', input, output: {}, value: 1 };
    expect(() => Reflect.apply(defineAction, null, [definition]) as unknown).toThrow(
      /JSON Schema output/,
    );
  });
});

describe('definePlugin', () => {
  const echo = defineAction({
    id: 'echo',
    effects: 'none',
    input: anything,
    output: {},
    run: ({ input }) => input,
  });

  it('refuses two actions of one id', () => {
    expect(() => definePlugin({ id: 'twins', actions: [echo, echo] })).toThrow(/"echo" twice/);
  });

  it('refuses a plugin without actions', () => {
    expect(() => definePlugin({ id: 'empty', actions: [] })).toThrow(/`actions` must be a list/);
  });

  it('describes zod schemas as JSON Schema, each from its own side', () => {
    const schema = z.object({ days: z.number().default(1) });
    const action = defineAction({
      id: 'forecast',
      effects: 'read',
      input: schema,
      output: schema,
      run: ({ input }) => input,
    });
    const { actions } = definePlugin({ id: 'weather', title: 'W', actions: [action] }).describe();
    expect(actions).toEqual([
      {
        id: 'forecast',
        form: 'code',
        effects: 'read',
        idempotency: 'none',
        input: { type: 'object', properties: { days: { type: 'number', default: 1 } } },
        output: {
          type: 'object',
          properties: { days: { type: 'number', default: 1 } },
          required: ['days'],
          additionalProperties: false,
        },
      },
    ]);
  });

  it('applies defaults and transforms of a Standard Schema to the input and the output', async () => {
    const plugin = definePlugin({
      id: 'twice',
      actions: [
        defineAction({
          id: 'double',
          effects: 'none',
          input: z.object({ n: z.number().default(21) }),
          output: z.object({ n: z.number() }),
          run: ({ input }) => Object.assign({ n: input.n * 2 }, { internal: true }),
        }),
      ],
    });
    await expect(plugin.run('double', kernel({}))).resolves.toEqual({ n: 42 });
  });

  it('reports wrong input with the pointer to it', async () => {
    const plugin = definePlugin({
      id: 'strict',
      actions: [
        defineAction({
          id: 'even',
          effects: 'none',
          input: z.object({ list: z.array(z.number().refine((n) => n % 2 === 0, 'odd')) }),
          output: {},
          run: () => null,
        }),
      ],
    });
    await expect(plugin.run('even', kernel({ list: [2, 3] }))).rejects.toMatchObject({
      name: 'InvalidInput',
      message: 'invalid input: /list/1: odd',
      stepwell: { code: 'input.invalid', retryable: false, details: { pointer: '/list/1' } },
    });
  });

  it('does not hand out what the output schema forbids', async () => {
    const plugin = definePlugin({
      id: 'liar',
      actions: [
        defineAction({
          id: 'lie',
          effects: 'none',
          input: anything,
          output: z.object({ n: z.number().max(1) }),
          run: () => ({ n: 2 }),
        }),
      ],
    });
    await expect(plugin.run('lie', kernel({}))).rejects.toMatchObject({
      message: expect.stringMatching(/^the action returned what its output schema forbids: \/n: /),
      stepwell: { code: 'plugin.output_invalid', retryable: false },
    });
  });

  it('writes log fields as JSON', async () => {
    const lines: string[] = [];
    const plugin = definePlugin({
      id: 'chatty',
      actions: [
        defineAction({
          id: 'talk',
          effects: 'none',
          input: anything,
          output: {},
          run({ log, clock }) {
            log.warn('careful', { at: clock.now() });
            return null;
          },
        }),
      ],
    });
    const log: KernelContext['log'] = (level, message) => lines.push(`${level} ${message}`);
    await plugin.run('talk', { ...kernel({}), log });
    expect(lines).toEqual(['warn careful {"at":1000}']);
  });

  it('has no code for a declarative or unknown action', async () => {
    const value = defineAction({
      id: 'data',
      effects: 'none',
      input: anything,
      output: {},
      value: '{{ input }}',
    });
    const plugin = definePlugin({ id: 'data', actions: [value] });
    await expect(plugin.run('data', kernel({}))).rejects.toThrow(/has no code/);
    await expect(plugin.run('toString', kernel({}))).rejects.toThrow(/has no code/);
  });
});

function kernel(input: KernelContext['input']): KernelContext {
  return {
    input,
    credential: null,
    idempotencyKey: 'execution:step:0',
    signal: new AbortController().signal,
    now: () => 1000,
    log: () => undefined,
  };
}
