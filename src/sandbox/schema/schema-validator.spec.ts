import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';

import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';

import type { JsonObject, JsonSchema, JsonValue } from '../../common/json.js';
import { SchemaValidator } from './schema-validator.js';
import type { SchemaValidatorOptions, SchemaVerdict } from './schema-validator.js';
import { LaneUnavailable, TaskCut } from './schema-thread.js';
import type { SchemaLane } from './untrusted-lane.js';
import { buildSchemaWorker } from './worker.build.mjs';

let outDir = '';
let workerFile = '';
const open: SchemaValidator[] = [];

beforeAll(async () => {
  outDir = await mkdtemp(join(tmpdir(), 'stepwell-schema-'));
  workerFile = await buildSchemaWorker(outDir);
});

afterEach(async () => {
  await Promise.all(open.splice(0).map((validator) => validator.close()));
});

afterAll(async () => {
  await rm(outDir, { recursive: true });
});

function makeValidator(options: SchemaValidatorOptions = {}): SchemaValidator {
  const validator = new SchemaValidator({ workerFile, ...options });
  open.push(validator);
  return validator;
}

const PERSON: JsonSchema = {
  type: 'object',
  properties: {
    name: { type: 'string', minLength: 1 },
    role: { enum: ['admin', 'user'], default: 'user' },
    tags: { type: 'array', items: { type: ['string', 'number'] } },
    'a/b~c': { type: 'object', required: ['x'] },
  },
  required: ['name'],
  additionalProperties: false,
};

/** Each level of a value doubles the work: both alternatives are the same and both fail at the leaf. */
const EXPONENTIAL: JsonSchema = {
  $ref: '#/$defs/node',
  $defs: {
    node: {
      anyOf: [
        { type: 'object', properties: { next: { $ref: '#/$defs/node' } }, required: ['next'] },
        {
          type: 'object',
          properties: { next: { $ref: '#/$defs/node' } },
          required: ['next', 'next2'],
        },
        { const: 'end' },
      ],
    },
  },
};

function chain(depth: number, leaf: JsonValue): JsonValue {
  let value = leaf;
  for (let i = 0; i < depth; i++) value = { next: value, next2: 1 };
  return value;
}

describe.each([
  ['trusted', true],
  ['untrusted', false],
] as const)('%s schemas', (_, trusted) => {
  const ask = async (
    schema: JsonSchema,
    value: JsonValue,
    applyDefaults = false,
  ): Promise<SchemaVerdict> =>
    makeValidator().validate({ key: 'k', schema, value, trusted, applyDefaults });

  it('let a valid value pass as it is', async () => {
    const value = { name: 'Ada' };
    const verdict = await ask(PERSON, value);
    expect(verdict).toEqual({ ok: true, value: { name: 'Ada' } });
    expect(verdict.ok && verdict.value === value).toBe(true);
  });

  it('fill in defaults in a copy', async () => {
    const value = { name: 'Ada', tags: ['x'] };
    expect(await ask(PERSON, value, true)).toEqual({
      ok: true,
      value: { name: 'Ada', tags: ['x'], role: 'user' },
    });
    expect(value).toEqual({ name: 'Ada', tags: ['x'] });
  });

  it('name what is wrong by JSON Pointer', async () => {
    const value = { role: 'root', tags: ['a', true], 'a/b~c': {}, extra: 1, ['x'.repeat(3)]: 2 };
    const verdict = await ask(PERSON, value);
    expect(verdict.ok ? [] : verdict.errors).toEqual(
      expect.arrayContaining([
        { pointer: '/name', detail: "must have property 'name'" },
        { pointer: '/role', detail: 'must be one of "admin", "user"' },
        { pointer: '/tags/1', detail: 'must be string or number' },
        { pointer: '/a~1b~0c/x', detail: "must have property 'x'" },
        { pointer: '/extra', detail: "must not have property 'extra'" },
        { pointer: '/xxx', detail: "must not have property 'xxx'" },
      ]),
    );
    expect(await ask({ type: 'string' }, 1)).toEqual({
      ok: false,
      fault: 'value_invalid',
      errors: [{ pointer: '', detail: 'must be string' }],
    });
  });

  it('give at most 50 errors', async () => {
    const verdict = await ask(
      { items: { type: 'string' } },
      Array.from({ length: 500 }, (__, i) => i),
    );
    expect(verdict.ok ? 0 : verdict.errors.length).toBe(50);
    const huge = await ask(
      { items: { type: 'string' } },
      Array.from({ length: 50_000 }, (__, i) => i),
    );
    expect(huge.ok ? 0 : huge.errors.length).toBe(1);
  });

  it('see own properties only', async () => {
    expect((await ask({ required: ['toString'] }, {})).ok).toBe(false);
  });

  it('match patterns in linear time', async () => {
    const started = performance.now();
    const verdict = await ask({ pattern: '^(a|a)*$' }, `${'a'.repeat(5_000)}b`);
    expect(verdict).toMatchObject({ ok: false, fault: 'value_invalid' });
    expect(performance.now() - started).toBeLessThan(3_000);
  });

  it.each<[string, JsonSchema]>([
    ['a wrong kind of value', { minimum: '1); process.exit(1' }],
    ['an unknown type', { type: 'text' }],
    ['a remote reference', { $ref: 'https://evil.example/schema' }],
    ['a backreference', { pattern: '(a)\\1' }],
  ])('are refused for %s', async (__, schema) => {
    const verdict = await ask(schema, 'x');
    expect(verdict).toMatchObject({ ok: false, fault: 'schema_invalid', errors: [] });
  });
});

describe('the untrusted lane', () => {
  it('cuts exponential work while this thread goes on, and works again at once', async () => {
    const validator = makeValidator({ cpuMs: 250 });
    const good = { key: 'good', schema: PERSON, trusted: false };
    await validator.validate({ ...good, value: { name: 'Ada' } });

    let turns = 0;
    const beat = setInterval(() => {
      turns += 1;
    }, 5);
    const started = performance.now();
    const [hostile, healthy] = await Promise.all([
      validator.validate({
        key: 'bad',
        schema: EXPONENTIAL,
        value: chain(50, 'x'),
        trusted: false,
      }),
      validator.validate({ ...good, value: { name: 'Bob' } }),
    ]);
    clearInterval(beat);

    expect(hostile).toMatchObject({ ok: false, fault: 'schema_too_costly', errors: [] });
    expect(healthy).toEqual({ ok: true, value: { name: 'Bob' } });
    expect(performance.now() - started).toBeLessThan(3_000);
    expect(turns).toBeGreaterThan(10);
    // The same schema serves values that it can check; only whoever asked too much waits a while.
    const harmless = { key: 'bad', schema: EXPONENTIAL, value: 'end', trusted: false };
    expect(await validator.validate({ ...harmless, tenantId: 'other' })).toMatchObject({
      ok: true,
    });
    expect(await validator.validate(harmless)).toMatchObject({ fault: 'schema_too_costly' });
  });

  it('without the lane the same question would hold this thread: the CPU time is what cuts it', async () => {
    const started = performance.now();
    await makeValidator().validate({
      key: 'k',
      schema: EXPONENTIAL,
      value: chain(8, 'x'),
      trusted: true,
    });
    const shallow = performance.now() - started;
    await makeValidator().validate({
      key: 'k',
      schema: EXPONENTIAL,
      value: chain(13, 'x'),
      trusted: true,
    });
    expect(performance.now() - started).toBeGreaterThan(shallow * 4);
  });

  it('does not compile again for a while what it had to cut', async () => {
    let now = 0;
    let compilations = 0;
    const lane: SchemaLane = {
      run: (_, work) =>
        work((task) => {
          if (task.type !== 'compile') return Promise.resolve({ type: 'unknown_key' });
          compilations += 1;
          return Promise.reject(new TaskCut('cpu'));
        }),
      close: () => Promise.resolve(),
    };
    const validator = makeValidator({ lane, costlyPauseMs: 1_000, now: () => now });
    const question = { key: 'k', schema: PERSON, value: {}, trusted: false };
    for (const [at, expected] of [
      [0, 1],
      [500, 1],
      [1_500, 2],
    ] as const) {
      now = at;
      expect(await validator.validate(question)).toMatchObject({ fault: 'schema_too_costly' });
      expect(compilations).toBe(expected);
    }
  });

  it('asks no more for a while on account of the tenant whose value it had to cut', async () => {
    let now = 0;
    let asked = 0;
    const lane: SchemaLane = {
      run: (_, work) =>
        work(() => {
          asked += 1;
          return Promise.reject(new TaskCut('cpu'));
        }),
      close: () => Promise.resolve(),
    };
    const validator = makeValidator({ lane, costlyValuePauseMs: 1_000, now: () => now });
    const question = { key: 'k', schema: PERSON, value: {}, trusted: false };
    for (const [at, tenantId, expected] of [
      [0, 'a', 1],
      [500, 'a', 1],
      [500, 'b', 2],
      [1_200, 'a', 3],
    ] as const) {
      now = at;
      expect(await validator.validate({ ...question, tenantId })).toMatchObject({
        fault: 'schema_too_costly',
      });
      expect(asked).toBe(expected);
    }
  });

  it('bans no one for what the machine is guilty of', async () => {
    let isBusy = true;
    const lane: SchemaLane = {
      run: (_, work) =>
        work((task) => {
          if (isBusy) return Promise.reject(new LaneUnavailable('busy'));
          return Promise.resolve(
            task.type === 'validate'
              ? { type: 'verdict', verdict: { ok: true, value: task.value } }
              : { type: 'done' },
          );
        }),
      close: () => Promise.resolve(),
    };
    const validator = makeValidator({ lane });
    const question = { key: 'k', schema: PERSON, value: 1, trusted: false };
    expect(await validator.validate(question)).toEqual({
      ok: false,
      fault: 'unavailable',
      detail: 'busy',
      errors: [],
    });
    isBusy = false;
    expect((await validator.validate(question)).ok).toBe(true);
  });

  it('takes an ordinary large schema, on a busy machine too', async () => {
    const properties: JsonObject = {};
    for (let i = 0; i < 150; i++) {
      properties[`field${String(i)}`] = {
        type: 'object',
        properties: {
          name: { type: 'string', minLength: 1, pattern: '^[a-z0-9_-]+$' },
          count: { type: 'integer', minimum: 0 },
          at: { type: 'string', format: 'date-time' },
        },
        required: ['name'],
        additionalProperties: false,
      };
    }
    const schema: JsonSchema = { type: 'object', properties };
    const value = { field3: { name: 'a', count: 2 }, field149: { name: 'z' } };
    const question = { key: 'large', schema, value, trusted: false };
    expect(await makeValidator().validate(question)).toMatchObject({ ok: true });

    const spin = 'for (;;);';
    const load = Array.from({ length: 6 }, () => new Worker(spin, { eval: true }));
    try {
      expect(await makeValidator().validate(question)).toMatchObject({ ok: true });
    } finally {
      await Promise.all(load.map((worker) => worker.terminate()));
    }
  }, 30_000);

  it('hands over no value that defaults have multiplied', async () => {
    const levels: JsonObject = { l0: {} };
    for (let i = 1; i <= 13; i++) {
      const lower = { $ref: `#/$defs/l${String(i - 1)}`, default: {} };
      levels[`l${String(i)}`] = {
        properties: { a: lower, b: lower, c: { default: 'x'.repeat(1_000) } },
      };
    }
    const verdict = await makeValidator({ cpuMs: 5_000 }).validate({
      key: 'bomb',
      schema: { $ref: '#/$defs/l13', $defs: levels },
      value: {},
      trusted: false,
      applyDefaults: true,
    });
    expect(verdict).toMatchObject({
      fault: 'schema_too_costly',
      detail: expect.stringContaining('defaults'),
    });
  });

  it('says what is missing when its file is not built', async () => {
    const validator = makeValidator({ workerFile: join(outDir, 'none.mjs') });
    await expect(
      validator.validate({ key: 'k', schema: true, value: 1, trusted: false }),
    ).rejects.toThrow(/not built/);
  });
});

describe('the trusted lane', () => {
  it('keeps a bounded number of schemas', async () => {
    const validator = makeValidator({ maxCompiled: 3 });
    for (let i = 0; i < 10; i++) {
      const schema: JsonSchema = { const: i };
      const question = { key: String(i), schema, value: i, trusted: true };
      expect((await validator.validate(question)).ok).toBe(true);
    }
    expect(validator.compiledCount).toBe(3);
  });

  it('compiles once, however often it is asked', async () => {
    const validator = makeValidator();
    const question = {
      key: 'k',
      schema: PERSON,
      value: { name: 'Ada' },
      trusted: true,
      applyDefaults: true,
    };
    await validator.validate(question);
    for (let i = 0; i < 200; i++) {
      await validator.validate(question);
      expect(validator.compiledCount).toBe(1);
    }
  });
});
