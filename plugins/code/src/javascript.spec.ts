import { describe, expect, it } from '@jest/globals';
import type { JsonValue } from '@stepwell/plugin-sdk';

import plugin from './index.js';

describe('code.javascript', () => {
  it.each<[string, JsonValue | undefined, unknown]>([
    ['return input.a + 1', { a: 1 }, 2],
    ['return (await Promise.resolve(input)).length', [1, 2], 2],
    ['return input', undefined, null],
    ['input.x = 1', {}, null],
    ['return typeof plugin + typeof source', null, 'undefinedundefined'],
  ])('%s', async (source, input, expected) => {
    await expect(run(input === undefined ? { source } : { source, input })).resolves.toEqual(
      expected,
    );
  });

  it('points at a source that is no JavaScript', async () => {
    await expect(run({ source: 'return (' })).rejects.toMatchObject({
      stepwell: { code: 'input.invalid', details: { pointer: '/source' } },
    });
  });

  it('lets what the source throws through', async () => {
    await expect(run({ source: 'throw new RangeError("out")' })).rejects.toThrow('out');
  });
});

function run(input: JsonValue): Promise<unknown> {
  return plugin.run('javascript', {
    input,
    credential: null,
    idempotencyKey: 'execution:step:0',
    signal: new AbortController().signal,
    now: () => 0,
    log: () => undefined,
  });
}
