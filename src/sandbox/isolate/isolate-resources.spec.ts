import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import {
  act,
  actBundle,
  bundle,
  RecordingHost,
  SandboxHarness,
  verdict,
} from './isolate-sandbox.harness.js';
import type { IsolateSandbox } from './isolate-sandbox.js';

let harness: SandboxHarness;
let sandbox: IsolateSandbox;

beforeAll(async () => {
  harness = await SandboxHarness.create();
  sandbox = harness.sandbox({ spares: 2 });
  await act(sandbox, 'return 1');
}, 20_000);

afterAll(() => harness.close());

const FAST = { limits: { cpuMs: 150 } };

describe('CPU', () => {
  it('R01 ends a loop at its budget', async () => {
    const began = performance.now();
    const result = await act(sandbox, 'for (;;);', { limits: { cpuMs: 300 } });
    const tookMs = performance.now() - began;
    expect(verdict(result)).toBe('plugin.cpu_exceeded');
    expect(tookMs).toBeGreaterThan(290);
    // A wall clock on a shared machine tells an end from a hang; how exact the end is, a bench says.
    expect(tookMs).toBeLessThan(5_000);
  });

  it.each([
    ['R02 microtasks', 'for (;;) await 0'],
    ['R02 then chains', 'const again = () => Promise.resolve().then(again); await again()'],
    ['R03 after an answer of the host', `await fetch('https://api.test/'); for (;;);`],
    ['R03 in a then after an answer', `await fetch('https://api.test/').then(() => { for (;;); })`],
    ['R06 a message that is a getter', 'throw { get message() { for (;;); } }'],
    ['R06 a fault that is a proxy', 'throw new Proxy({}, { get() { for (;;); } })'],
    ['R08 a regular expression', `return /^(a|a)*$/.test('a'.repeat(40) + 'b')`],
    ['R11 a comparator', '[3, 2, 1].sort(() => { for (;;); })'],
    ['R11 a replacer', 'JSON.stringify([1], () => { for (;;); })'],
    ['R11 an iterator', 'new Set({ *[Symbol.iterator]() { for (;;) yield 1; } })'],
    ['R11 a coercion', 'Math.max({ valueOf() { for (;;); } })'],
    ['a timer', 'await new Promise(() => setTimeout(() => { for (;;); }, 0))'],
    [
      'endless short turns',
      'for (;;) { await new Promise((r) => setTimeout(r, 0)); for (let i = 0; i < 1e7; i++); }',
    ],
  ])('%s -> cpu_exceeded', async (_name, body) => {
    expect(verdict(await act(sandbox, body, FAST))).toBe('plugin.cpu_exceeded');
  });

  it('ends a loop at the top of a bundle, and one that goes on after its result', async () => {
    expect(verdict(await actBundle(sandbox, bundle('return 1', 'for (;;);'), FAST))).toBe(
      'plugin.cpu_exceeded',
    );
    const after = await act(
      sandbox,
      'Promise.resolve().then(() => {}).then(() => {}).then(() => { for (;;); }); return 1',
      FAST,
    );
    expect(['ok', 'plugin.cpu_exceeded']).toContain(verdict(after));
    expect(verdict(await act(sandbox, 'return 1'))).toBe('ok');
  });

  it('the watchdog alone ends a loop when the meter inside is off', async () => {
    const weak = harness.sandbox({ spares: 0, defences: { cpuMeter: false } });
    expect(verdict(await act(weak, 'for (;;);', FAST))).toBe('plugin.cpu_exceeded');
  });

  it('bites with both off: only the wall clock is left', async () => {
    const weak = harness.sandbox({ spares: 0, defences: { cpuMeter: false, watchdog: false } });
    const limits = { cpuMs: 50, wallMs: 800 };
    expect(verdict(await act(weak, 'for (;;);', { limits }))).toBe('plugin.timed_out');
  });
});

describe('memory', () => {
  const GREEDY = { limits: { cpuMs: 3000, rssMb: 300 } };

  it.each([
    ['R09 Array(1e9).fill', 'Array(1e9).fill(0)', ['plugin.out_of_memory', 'plugin.cpu_exceeded']],
    [
      'R12 objects',
      'const a = []; for (;;) a.push({ a: {} })',
      ['plugin.out_of_memory', 'plugin.cpu_exceeded'],
    ],
    [
      'R13 strings',
      `const kept = []; for (let i = 0; ; i++) kept.push(('x'.repeat(4e6) + i).replaceAll('x', 'yy'))`,
      ['plugin.out_of_memory', 'plugin.cpu_exceeded'],
    ],
    [
      'R14 symbols',
      'const o = {}; for (let i = 0; ; i++) o[Symbol(i)] = i',
      ['plugin.out_of_memory', 'plugin.cpu_exceeded', 'plugin.crashed'],
    ],
    [
      'R18 Intl',
      `const a = []; for (;;) a.push(new Intl.DateTimeFormat('de', { timeZone: 'UTC' }).format(0))`,
      ['plugin.out_of_memory', 'plugin.cpu_exceeded'],
    ],
    [
      'R15 buffers',
      'const a = []; for (;;) a.push(new ArrayBuffer(1e7).slice(0))',
      ['plugin.threw', 'plugin.out_of_memory'],
    ],
  ])(
    '%s',
    async (_name, body, codes) => {
      const began = performance.now();
      const result = await act(sandbox, body, GREEDY);
      expect(codes).toContain(verdict(result));
      expect(performance.now() - began).toBeLessThan(6000);
      expect(verdict(await act(sandbox, 'return 1'))).toBe('ok');
    },
    10_000,
  );

  it("R20 recursion is the guest's own RangeError", async () => {
    const result = await act(
      sandbox,
      'try { (function f() { f() })() } catch (e) { return e instanceof RangeError }',
    );
    expect(result.output).toBe(true);
    expect(verdict(await act(sandbox, '(function f() { f() })()'))).toBe('plugin.threw');
  });

  it('R24 R26 nothing large leaves', async () => {
    const limits = { cpuMs: 3000 };
    const large = await act(sandbox, `return 'x'.repeat(5e7)`, { limits });
    expect(verdict(large)).toBe('plugin.output_too_large');
    const nested = await act(sandbox, `return [{ a: 'x'.repeat(2e6) }]`, { limits });
    expect(verdict(nested)).toBe('plugin.output_too_large');
    const thrown = await act(sandbox, `throw new Error('y'.repeat(2e7))`, { limits });
    expect(verdict(thrown)).toBe('plugin.threw');
    expect(thrown.message).toHaveLength(500);
    const huge = await act(sandbox, `throw new Error('y'.repeat(5e8))`, { limits });
    expect(['plugin.threw', 'plugin.out_of_memory']).toContain(verdict(huge));
    expect(huge.message.length).toBeLessThanOrEqual(500);
    const wide = await act(sandbox, `return '\\u00e9'.repeat(600 * 1024)`, { limits });
    expect(verdict(wide)).toBe('plugin.output_too_large');
  });
});

describe('host calls', () => {
  it('R04 endless calls end at their number', async () => {
    const host = new RecordingHost();
    const result = await act(sandbox, `for (;;) await fetch('https://api.test/')`, {
      host,
      limits: { cpuMs: 5000, hostCalls: 50 },
    });
    expect(verdict(result)).toBe('plugin.too_many_calls');
    expect(host.requests).toHaveLength(50);
  });

  const FLOOD = `for (let i = 0; i < 1e5; i++) fetch('https://api.test/' + i).catch(() => {}); await new Promise(() => {})`;

  it('R22 a flood of calls ends at eight in flight', async () => {
    const host = new RecordingHost(() => new Promise(() => undefined));
    const result = await act(sandbox, FLOOD, { host, limits: { cpuMs: 3000 } });
    expect(verdict(result)).toBe('plugin.too_many_in_flight');
    expect(host.mostInFlight).toBeLessThanOrEqual(8);
  });

  it('R22 the broker holds when kernel and child do not count', async () => {
    const weak = harness.sandbox({ spares: 0, defences: { kernelCaps: false } });
    const host = new RecordingHost(() => new Promise(() => undefined));
    const body = FLOOD.replace('1e5', '100');
    expect(verdict(await act(weak, body, { host, limits: { cpuMs: 3000 } }))).toBe(
      'plugin.too_many_in_flight',
    );
    expect(host.mostInFlight).toBeLessThanOrEqual(8);
  });

  it('R22 bites when nobody counts', async () => {
    const weak = harness.sandbox({
      spares: 0,
      defences: { kernelCaps: false, hostCallCaps: false },
    });
    const host = new RecordingHost(() => new Promise(() => undefined));
    const body = FLOOD.replace('1e5', '100');
    await act(weak, body, { host, limits: { cpuMs: 3000, wallMs: 500 } });
    expect(host.mostInFlight).toBe(100);
  });

  it('R23 refuses a large message, and many large ones', async () => {
    const limits = { cpuMs: 5000 };
    const one = `await fetch('https://api.test/', { method: 'POST', body: 'x'.repeat(6e6) })`;
    expect(verdict(await act(sandbox, one, { limits }))).toBe('plugin.message_too_large');
    const header = `await fetch('https://api.test/', { headers: { a: 'x'.repeat(1e6) } })`;
    expect(verdict(await act(sandbox, header, { limits }))).toBe('plugin.message_too_large');
    const many = `for (;;) await fetch('https://api.test/', { method: 'POST', body: 'x'.repeat(1e6) })`;
    expect(verdict(await act(sandbox, many, { limits }))).toBe('plugin.message_too_large');
  });

  it('R21 keeps 200 lines and says that there were more', async () => {
    const host = new RecordingHost();
    const flood = `const line = '\\u00e9'.repeat(1e5); for (;;) k.log('info', line)`;
    const result = await act(sandbox, flood, { host, limits: { cpuMs: 1_000 } });
    expect(verdict(result)).toBe('plugin.cpu_exceeded');
    expect(host.lines).toHaveLength(201);
    expect(Buffer.byteLength(host.lines[0]?.message ?? '')).toBeLessThanOrEqual(2048);
    expect(host.lines[200]).toEqual({
      level: 'warn',
      message: 'log truncated: more than 200 lines',
    });
  });

  it('refuses a response over its limit, and counts timers', async () => {
    const host = new RecordingHost(() => Promise.resolve({ body: Buffer.alloc(2048) }));
    const result = await act(sandbox, `await fetch('https://api.test/')`, {
      host,
      limits: { responseBytes: 1024 },
    });
    expect(verdict(result)).toBe('egress.response_too_large');
    const timers = await act(
      sandbox,
      'for (let i = 0; i < 1e4; i++) setTimeout(() => {}, 1e6); await new Promise(() => {})',
    );
    expect(verdict(timers)).toBe('plugin.too_many_calls');
  });
});

describe('ends', () => {
  it('never_settled is told at once', async () => {
    const began = performance.now();
    expect(verdict(await act(sandbox, 'await new Promise(() => {})'))).toBe('plugin.never_settled');
    expect(performance.now() - began).toBeLessThan(2000);
  });

  it('timed_out by the wall clock, and the request is aborted', async () => {
    let aborted = false;
    const host = new RecordingHost(
      (_request, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            aborted = true;
            reject(signal.reason as Error);
          });
        }),
    );
    const result = await act(sandbox, `await fetch('https://api.test/')`, {
      host,
      limits: { wallMs: 200 },
    });
    expect(verdict(result)).toBe('plugin.timed_out');
    expect(aborted).toBe(true);
  });

  it('cancelled and timed out by the caller', async () => {
    const pending = 'await new Promise((resolve) => setTimeout(resolve, 1e5))';
    const cancel = new AbortController();
    const cancelled = act(sandbox, pending, { signal: cancel.signal });
    setTimeout(() => {
      cancel.abort();
    }, 50);
    expect(verdict(await cancelled)).toBe('step.cancelled');
    expect(verdict(await act(sandbox, pending, { signal: AbortSignal.timeout(50) }))).toBe(
      'step.timed_out',
    );
    expect(verdict(await act(sandbox, pending, { signal: AbortSignal.abort() }))).toBe(
      'step.cancelled',
    );
  });

  it.each([
    ['a syntax error', 'var __stepwell_plugin = {'],
    ['a throw', `throw new Error('at load')`],
    ['nothing', 'var x = 1'],
    ['no default', 'var __stepwell_plugin = {}'],
    ['another SDK', 'var __stepwell_plugin = { default: { stepwell: 2 } }'],
    ['deep nesting', `var x = ${'('.repeat(200_000)}`],
  ])('load_failed: %s', async (_name, source) => {
    expect(verdict(await actBundle(sandbox, source))).toBe('plugin.load_failed');
  });

  it('load_failed for an action that the bundle does not have', async () => {
    const source = `var __stepwell_plugin = { default: { stepwell: 1, describe: () => ({ actions: [{ id: 'other' }] }),
      run() { throw new Error('no such action') } } }`;
    expect(verdict(await actBundle(sandbox, source))).toBe('plugin.load_failed');
  });

  it('takes a declared fault, and holds it to the closed set', async () => {
    const fault = (stepwell: string): string =>
      `throw Object.assign(new Error('slow down'), { stepwell: ${stepwell} })`;
    const limited = await act(
      sandbox,
      fault(`{ code: 'provider.rate_limited', retryable: true, details: { retry_after_ms: 5 } }`),
    );
    expect(limited.error).toEqual({
      code: 'provider.rate_limited',
      message: 'slow down',
      retryable: true,
      details: { retry_after_ms: 5 },
    });
    const rejected = await act(sandbox, fault(`{ code: 'provider.rejected', retryable: true }`));
    expect(rejected.error).toMatchObject({ code: 'provider.rejected', retryable: false });
    const odd = await act(sandbox, fault(`{ code: 'plugin.output_invalid', retryable: false }`));
    expect(odd.error).toEqual({
      code: 'plugin.output_invalid',
      message: 'slow down',
      retryable: false,
    });
    const forged = await act(sandbox, fault(`{ code: 'step.cancelled', retryable: true }`));
    expect(verdict(forged)).toBe('plugin.threw');
    const unsafe = await act(
      sandbox,
      fault(
        `{ code: 'provider.rejected', retryable: false, details: JSON.parse('{"__proto__":{"x":1}}') }`,
      ),
    );
    expect(unsafe.error).toEqual({
      code: 'provider.rejected',
      message: 'slow down',
      retryable: false,
    });
  });

  it('describes a bundle without any host', async () => {
    const call = {
      tenantId: 'tenant-a',
      plugin: { id: 'p', version: '1', digest: 'sha256-describe' },
      loadBundle: () => Promise.resolve(bundle('return 1')),
      limits: (await import('../sandbox.js')).DEFAULT_LIMITS,
    };
    const described = await sandbox.describe(call, new AbortController().signal);
    expect(described).toEqual({
      ok: true,
      description: { id: 'hostile', actions: [{ id: 'act' }] },
    });
  });
});
