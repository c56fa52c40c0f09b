import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import type { ProviderResult } from '../../common/provider-result.js';
import { launchPlain } from './child-launcher.js';
import type { IsolateSandboxOptions } from './isolate-options.js';
import {
  act,
  bundle,
  actBundle,
  RecordingHost,
  SandboxHarness,
  verdict,
  type CallOptions,
} from './isolate-sandbox.harness.js';
import type { IsolateSandbox } from './isolate-sandbox.js';

let harness: SandboxHarness;

beforeAll(async () => {
  harness = await SandboxHarness.create();
}, 20_000);

afterAll(() => harness.close());

const ALONE = { maxChildren: 1, spares: 0 };

/** One child, and the pids of all that there were. */
function alone(options: Partial<IsolateSandboxOptions> = {}): {
  sandbox: IsolateSandbox;
  pids: number[];
} {
  const pids: number[] = [];
  const sandbox = harness.sandbox({
    ...ALONE,
    ...options,
    launcher: (command) => {
      const child = launchPlain(command);
      if (child.pid !== undefined) pids.push(child.pid);
      return child;
    },
  });
  return { sandbox, pids };
}

/** A call of the tenant's own code, in a warm isolate from the second one on. */
function own(
  sandbox: IsolateSandbox,
  body: string,
  options: CallOptions = {},
): Promise<ProviderResult> {
  return act(sandbox, body, { trust: 'own_code', ...options });
}

const POLLUTE_OR_TELL = `
  if (k.input.pollute) {
    Object.prototype.stolen = 'canary';
    Array.prototype.push = () => 'canary';
    globalThis.kept = k.input;
    Object.defineProperty(globalThis, 'fixed', { value: 'canary' });
  }
  return [typeof ({}).stolen, typeof kept, typeof fixed, [].push(1)];`;
const CLEAN = ['undefined', 'undefined', 'undefined', 1];

describe('a warm isolate', () => {
  it.each(['own_code', 'operator'] as const)(
    'B05 L01 %s: a call finds nothing of those before',
    async (trust) => {
      const { sandbox, pids } = alone();
      for (let i = 0; i < 40; i++) {
        await act(sandbox, POLLUTE_OR_TELL, { trust, input: { pollute: true } });
        expect((await act(sandbox, POLLUTE_OR_TELL, { trust })).output).toEqual(CLEAN);
      }
      expect(pids).toHaveLength(1);
    },
    20_000,
  );

  it('B05 L01 bites when the context is used again', async () => {
    const { sandbox } = alone({ defences: { freshContext: false } });
    await own(sandbox, POLLUTE_OR_TELL, { input: { pollute: true } });
    expect((await own(sandbox, POLLUTE_OR_TELL)).output).toEqual([
      'string',
      'object',
      'string',
      'canary',
    ]);
  });

  it('is nothing that code of third parties ever gets', async () => {
    const { sandbox } = alone({ defences: { freshContext: false } });
    for (const trust of [undefined, 'third_party'] as const) {
      const options = trust === undefined ? {} : { trust };
      await act(sandbox, POLLUTE_OR_TELL, { ...options, input: { pollute: true } });
      expect((await act(sandbox, POLLUTE_OR_TELL, options)).output).toEqual(CLEAN);
    }
  });

  it('L01 keeps the modules of a bundle apart, too', async () => {
    const { sandbox } = alone();
    const counting = bundle('return ++count', 'var count = 0;');
    for (let i = 0; i < 3; i++) {
      expect((await actBundle(sandbox, counting, { trust: 'own_code' })).output).toBe(1);
    }
  });

  it('runs the bundle that each call names', async () => {
    const { sandbox } = alone();
    for (const value of [1, 2, 3, 4, 1, 2, 1]) {
      expect((await own(sandbox, `return ${String(value)}`)).output).toBe(value);
    }
  });

  it('lets no timer, request or promise of an ended call reach the next', async () => {
    const { sandbox } = alone();
    const hosts = [0, 1].map(
      () =>
        new RecordingHost(async ({ url }) => {
          if (url.includes('slow')) await new Promise((resolve) => setTimeout(resolve, 40));
          return {};
        }),
    );
    const first = await own(
      sandbox,
      `setTimeout(() => fetch('https://late.test/timer'), 20);
      fetch('https://slow.test/').then(() => fetch('https://late.test/answer'), () => fetch('https://late.test/refusal'));
      return new Promise((resolve) => setTimeout(() => resolve('first'), 5));`,
      hosts[0] === undefined ? {} : { host: hosts[0] },
    );
    const second = await own(
      sandbox,
      `const answers = [];
      for (let i = 0; i < 3; i++) answers.push((await fetch('https://api.test/' + i)).url);
      await new Promise((resolve) => setTimeout(resolve, 120));
      return answers;`,
      hosts[1] === undefined ? {} : { host: hosts[1] },
    );
    expect(first.output).toBe('first');
    expect(second.output).toEqual([
      'https://api.test/0',
      'https://api.test/1',
      'https://api.test/2',
    ]);
    const urls = hosts.map(({ requests }) => requests.map(({ url }) => url));
    expect(urls).toEqual([
      ['https://slow.test/'],
      ['https://api.test/0', 'https://api.test/1', 'https://api.test/2'],
    ]);
  });

  it('calls nothing back after a collection of garbage, which would be on the time of another call', async () => {
    const { sandbox } = alone();
    const { output } = await own(
      sandbox,
      `const dead = [];
      const registry = new FinalizationRegistry((name) => dead.push(name));
      (() => { for (let i = 0; i < 20; i++) registry.register({ i }, i); })();
      const gone = new WeakRef({});
      for (let round = 0; round < 30; round++) {
        const garbage = [];
        for (let i = 0; i < 1e5; i++) garbage.push({ i });
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      return { collected: gone.deref() === undefined, dead, tag: String(registry) };`,
      { limits: { cpuMs: 5_000 } },
    );
    expect(output).toEqual({
      collected: true,
      dead: [],
      tag: '[object FinalizationRegistry]',
    });
  });

  it('E16 has no shared memory nor compiled code in any of its contexts', async () => {
    const { sandbox } = alone();
    const body = `return ['SharedArrayBuffer', 'Atomics', 'WebAssembly', 'Temporal', 'ShadowRealm', '__stepwell_attach']
      .filter((name) => name in globalThis)`;
    for (let i = 0; i < 5; i++) expect((await own(sandbox, body)).output).toEqual([]);
  });

  it('goes after a call that failed, and after any that is killed', async () => {
    const { sandbox, pids } = alone();
    expect(verdict(await own(sandbox, `if (k.input.ok) return 1; throw new Error('x')`))).toBe(
      'plugin.threw',
    );
    const input = { ok: true };
    const body = `if (k.input.ok) return 1; throw new Error('x')`;
    expect(verdict(await own(sandbox, body, { input }))).toBe('ok');
    expect(pids).toHaveLength(1);
    expect(verdict(await own(sandbox, 'for (;;);', { limits: { cpuMs: 100 } }))).toBe(
      'plugin.cpu_exceeded',
    );
    expect(verdict(await own(sandbox, 'return 1'))).toBe('ok');
    expect(pids).toHaveLength(2);
  });
});

describe('memory of a warm isolate', () => {
  const limits = { cpuMs: 5_000 };
  /** Holds so many megabytes at once, and leaves them as garbage. */
  const HOLD = `const held = [];
    for (let i = 0; i < k.input.mb; i++) held.push(new Array(131072).fill(i + 0.5));
    return held.length;`;

  it.each([
    ['much each time', () => 36],
    ['little, and much in the end', (i: number) => (i % 6 === 5 ? 40 : 7)],
  ])(
    'a call has its whole heap, whatever those before left: %s',
    async (_name, mb) => {
      const { sandbox, pids } = alone();
      for (let i = 0; i < 18; i++) {
        const result = await own(sandbox, HOLD, { input: { mb: mb(i) }, limits });
        expect(result.error).toBeNull();
      }
      expect(pids).toHaveLength(1);
    },
    30_000,
  );

  it('a call has no more than that', async () => {
    const { sandbox } = alone();
    for (let i = 0; i < 3; i++) await own(sandbox, HOLD, { input: { mb: 1 }, limits });
    const result = await own(sandbox, HOLD, { input: { mb: 100 }, limits });
    expect(verdict(result)).toBe('plugin.out_of_memory');
    expect(verdict(await own(sandbox, HOLD, { input: { mb: 1 }, limits }))).toBe('ok');
  });

  it('what V8 keeps for the whole isolate does not pile up', async () => {
    const { sandbox } = alone();
    const body = `for (let i = 0; i < 3e4; i++) Symbol.for('a name that nobody will ask for again ' + k.input.n + i);
      return 1`;
    for (let n = 0; n < 20; n++) {
      const result = await own(sandbox, body, { input: { n }, limits: { ...limits, rssMb: 250 } });
      expect(result.error).toBeNull();
    }
  }, 30_000);
});

describe('classes of trust', () => {
  it('never share a process, though their tenant is the same', async () => {
    const { sandbox, pids } = alone({ maxChildren: 3 });
    const classes = ['third_party', 'own_code', 'operator'] as const;
    for (let round = 0; round < 5; round++) {
      for (const trust of classes) {
        expect(verdict(await act(sandbox, 'return 1', { trust }))).toBe('ok');
      }
    }
    expect(pids).toHaveLength(3);
  });

  it('take turns when there is one child for all', async () => {
    const { sandbox, pids } = alone();
    const results = await Promise.all(
      (['third_party', 'own_code', 'operator', 'third_party'] as const).map((trust) =>
        act(sandbox, 'return 1', { trust }),
      ),
    );
    expect(results.map(verdict)).toEqual(['ok', 'ok', 'ok', 'ok']);
    expect(pids.length).toBeGreaterThanOrEqual(3);
  });

  it('bites when they share', async () => {
    const { sandbox, pids } = alone({ defences: { trustChildren: false, freshIsolate: false } });
    await act(sandbox, POLLUTE_OR_TELL, { trust: 'own_code', input: { pollute: true } });
    const { output } = await act(sandbox, POLLUTE_OR_TELL, { trust: 'third_party' });
    expect(output).toEqual(['string', 'object', 'string', 'canary']);
    expect(pids).toHaveLength(1);
  });
});
