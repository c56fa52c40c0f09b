import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { HostCallError } from '../sandbox.js';
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
  sandbox = harness.sandbox();
}, 20_000);

afterAll(() => harness.close());

/** Visits everything reachable from globals, context, a response and errors; calls `visit` on each value. */
const WALK = `
  async function walk(k, visit) {
    const response = await fetch('https://api.test/');
    const refused = await fetch('https://refused.test/').catch((error) => error);
    let bad; try { null.x } catch (error) { bad = error }
    const queue = [globalThis, k, response, refused, bad, this, arguments, new Request('https://a.test')];
    const seen = new Set();
    while (queue.length > 0) {
      const value = queue.pop();
      if ((typeof value !== 'object' && typeof value !== 'function') || value === null || seen.has(value)) continue;
      seen.add(value);
      visit(value);
      queue.push(Object.getPrototypeOf(value));
      for (const key of Reflect.ownKeys(value)) {
        const d = Object.getOwnPropertyDescriptor(value, key);
        queue.push(d.value, d.get, d.set);
        try { queue.push(value[key]) } catch { /* a getter that throws gives nothing to walk */ }
      }
    }
    return seen.size;
  }`;

const REFUSING = new RecordingHost((request) =>
  request.url.includes('refused')
    ? Promise.reject(
        new HostCallError('egress.denied', 'host refused.test is not allowed', { host: 'x' }),
      )
    : Promise.resolve({}),
);

describe('escape', () => {
  it('E01 E03 reaches no foreign Function and no handle of isolated-vm from anything', async () => {
    const result = await actBundle(
      sandbox,
      bundle(
        `const found = [];
        const size = await walk(k, (value) => {
          for (const name of ['applySync', 'applyIgnored', 'copyInto', 'derefInto', 'deref', 'copySync']) {
            if (name in value && !(value instanceof WeakRef) && value !== WeakRef.prototype) found.push(name);
          }
          let maker;
          try { maker = value.constructor.constructor } catch { return }
          if (typeof maker !== 'function') return;
          try {
            const said = maker('return typeof process + typeof require')();
            if (typeof said === 'string' && said !== 'undefinedundefined') found.push('process');
          } catch { /* a maker that refuses to make is no way out */ }
          if (maker.name === 'Function' && maker !== Function) found.push('foreign Function');
        });
        return { size, found };`,
        WALK,
      ),
      { host: REFUSING },
    );
    expect(result.error).toBeNull();
    expect(result.output).toEqual({ size: expect.any(Number), found: [] });
    expect((result.output as { size: number }).size).toBeGreaterThan(500);
  });

  it('E02 the same by computed, escaped, template and destructured names', async () => {
    const result = await act(
      sandbox,
      `const { constructor: { constructor: A } } = k.log;
      const B = k['con' + 'structor'][\`constructor\`];
      const C = fetch.c\\u006fnstructor;
      const D = Reflect.get(Reflect.get(k.signal, 'constructor'), 'constructor');
      return [A, B, C, D].map((make) => make('return typeof process')());`,
    );
    expect(result.output).toEqual(['undefined', 'undefined', 'undefined', 'undefined']);
  });

  it('E06 host-call arguments cross as plain text; getters and proxies run inside', async () => {
    const host = new RecordingHost();
    const result = await act(
      sandbox,
      `let inside = 0;
      const headers = new Proxy({}, {
        ownKeys: () => ['x-a'],
        getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true, value: 1 }),
        get: (t, key) => key === 'x-a' ? (inside++, 'from a proxy') : undefined,
      });
      await fetch({ toString() { inside++; return 'https://api.test/p' } }, {
        headers, method: { toString: () => 'POST' }, get body() { inside++; return { get a() { inside++; return 1 } } },
      });
      const refused = [];
      for (const bad of [Symbol('x'), { a: 1n }]) {
        await fetch('https://api.test/', { method: 'POST', body: bad }).catch(() => refused.push(1));
      }
      return { inside: inside >= 4, refused: refused.length };`,
      { host },
    );
    expect(result.output).toEqual({ inside: true, refused: 2 });
    expect(host.requests[0]).toMatchObject({ url: 'https://api.test/p', method: 'POST' });
    expect(host.requests[0]?.headers).toContainEqual(['x-a', 'from a proxy']);
    expect(Buffer.from(host.requests[0]?.body ?? []).toString()).toBe('{"a":1}');
  });

  it('E07 an error of the host shows code and message, and nothing else', async () => {
    const body = `const error = await fetch('https://refused.test/').catch((e) => e);
      return { keys: Reflect.ownKeys(error).map(String).sort(), code: error.code, message: error.message,
        isOurs: error instanceof TypeError, stack: error.stack };`;
    const { output } = await act(sandbox, body, { host: REFUSING });
    expect(output).toMatchObject({
      keys: ['code', 'message', 'stack'],
      code: 'egress.denied',
      message: 'host refused.test is not allowed',
      isOurs: true,
    });
    expect(JSON.stringify(output)).not.toMatch(/node:|node_modules|sandbox\//);
    expect(JSON.stringify(output)).not.toContain(process.cwd());
  });

  it('E07 a fault of ours tells the guest nothing, and is logged', async () => {
    const events: string[] = [];
    const own = harness.sandbox({ spares: 0, log: (_level, event) => events.push(event) });
    const host = new RecordingHost(() =>
      Promise.reject(new Error('ECONNREFUSED 10.0.0.1 /etc/secret')),
    );
    const result = await act(own, `await fetch('https://api.test/')`, { host });
    expect(result.error).toMatchObject({
      code: 'egress.failed',
      message: 'the request could not be sent',
    });
    expect(events).toContain('sandbox.host_call_failed');
  });

  it('an uncaught refusal keeps its code and details, and a forged one does not count', async () => {
    const uncaught = await act(sandbox, `await fetch('https://refused.test/')`, { host: REFUSING });
    expect(uncaught.error).toMatchObject({ code: 'egress.denied', details: { host: 'x' } });
    const forged = await act(
      sandbox,
      `throw Object.assign(new Error('no'), { code: 'egress.failed' })`,
    );
    expect(forged.error).toMatchObject({ code: 'plugin.threw', message: 'no' });
  });

  it('E09 overwritten built-ins leave the bridge as it was', async () => {
    const host = new RecordingHost();
    const result = await act(
      sandbox,
      `JSON.stringify = () => 'x'; JSON.parse = () => 'x';
      Promise.prototype.then = () => { throw new Error('then') };
      Promise.prototype.constructor = function () { throw new Error('species') };
      Object.prototype.toJSON = () => ({ type: 'evil' });
      Array.prototype.toJSON = () => 'evil'; String.prototype.toJSON = () => 'evil';
      for (const name of ['call', 'id', 'url', 'code', 'type', 'ok']) {
        Object.defineProperty(Object.prototype, name, { set() { throw new Error('setter') }, configurable: true });
      }
      String.prototype.slice = Map.prototype.get = WeakMap.prototype.get = () => 'evil';
      Reflect.apply = Reflect.construct = Function.prototype.call = Function.prototype.apply = () => 'evil';
      k.log('info', 'still here');
      return 'fine';`,
      { host },
    );
    expect(result).toMatchObject({ success: true, output: 'fine' });
    expect(host.lines).toEqual([{ level: 'info', message: 'still here' }]);
    expect(verdict(await act(sandbox, 'return JSON.stringify([1])'))).toBe('ok');
  });

  it('E11 no import, require, module or process', async () => {
    const { output } = await act(
      sandbox,
      `const imported = await import('node:fs').then(() => 'loaded', () => 'refused');
      return [imported, typeof require, typeof module, typeof process, typeof exports, typeof Buffer,
        typeof __stepwell_attach, typeof global, typeof performance];`,
    );
    expect(output).toEqual(['refused', ...Array<string>(8).fill('undefined')]);
    expect(verdict(await act(sandbox, 'return import.meta'))).toBe('plugin.load_failed');
  });

  it('E12 code from strings runs in the guest realm, and is timed', async () => {
    const { output } = await act(
      sandbox,
      `const Async = (async () => {}).constructor, Generator = (function* () {}).constructor;
      return [eval('typeof process'), new Function('return typeof process')(),
        await new Async('return typeof process')(), new Generator('yield typeof process')().next().value];`,
    );
    expect(output).toEqual(['undefined', 'undefined', 'undefined', 'undefined']);
    const timed = await act(sandbox, `new Function('for(;;);')()`, { limits: { cpuMs: 100 } });
    expect(verdict(timed)).toBe('plugin.cpu_exceeded');
  });

  it('E16 no shared memory, no compiled code, no clock that moves within a turn', async () => {
    const { output } = await act(
      sandbox,
      `const names = ['SharedArrayBuffer', 'Atomics', 'WebAssembly', 'performance', 'Temporal'];
      const read = () => [Date.now(), +new Date(), k.now(), Date(),
        new Intl.DateTimeFormat('en', { fractionalSecondDigits: 3, second: 'numeric' }).format(),
        new (new Date().constructor)().getTime(),
        JSON.stringify(new Intl.DateTimeFormat('en', { fractionalSecondDigits: 3 }).formatToParts())].join();
      const before = read();
      for (let i = 0; i < 3e6; i++);
      const after = read();
      await new Promise((resolve) => setTimeout(resolve, 5));
      return { found: names.filter((name) => name in globalThis), still: before === after, moved: read() !== after };`,
    );
    expect(output).toEqual({ found: [], still: true, moved: true });
  });
});

describe('pollution', () => {
  const POLLUTED = `return JSON.parse('{"a":{"__proto__":{"polluted":1}}}')`;

  it('B01 refuses a result with an own __proto__ key', async () => {
    const result = await act(sandbox, POLLUTED);
    expect(verdict(result)).toBe('plugin.output_invalid');
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });

  it('B01 bites with safe parsing off', async () => {
    const weak = harness.sandbox({ spares: 0, defences: { safeJson: false } });
    expect(verdict(await act(weak, POLLUTED))).toBe('ok');
  });

  it('B02 refuses constructor.prototype at any depth', async () => {
    const nested = `let value = { constructor: { prototype: { polluted: 1 } } };
      for (let i = 0; i < 10; i++) value = { value };
      return value;`;
    expect(verdict(await act(sandbox, nested))).toBe('plugin.output_invalid');
  });

  const POLLUTE_OR_TELL = `if (k.input.pollute) { Object.prototype.stolen = 'canary'; globalThis.kept = k.input; }
    return [typeof ({}).stolen, typeof kept];`;

  it('B05 L01 a call finds nothing of the one before', async () => {
    const own = harness.sandbox({ maxChildren: 1, spares: 0 });
    await act(own, POLLUTE_OR_TELL, { input: { pollute: true } });
    expect((await act(own, POLLUTE_OR_TELL)).output).toEqual(['undefined', 'undefined']);
  });

  it('B05 L01 bites with one isolate for all calls', async () => {
    const weak = harness.sandbox({ maxChildren: 1, spares: 0, defences: { freshIsolate: false } });
    await act(weak, POLLUTE_OR_TELL, { input: { pollute: true } });
    expect((await act(weak, POLLUTE_OR_TELL)).output).toEqual(['string', 'object']);
  });

  it('B07 toJSON, getters and proxies of a result run inside, on its CPU time', async () => {
    expect((await act(sandbox, 'return { toJSON: () => ({ a: typeof process }) }')).output).toEqual(
      {
        a: 'undefined',
      },
    );
    const limits = { cpuMs: 100 };
    for (const spin of [
      'return { toJSON() { for (;;); } }',
      'return { get a() { for (;;); } }',
      'return new Proxy({}, { ownKeys() { for (;;); } })',
      'return { then() { for (;;); } }',
    ]) {
      expect(verdict(await act(sandbox, spin, { limits }))).toBe('plugin.cpu_exceeded');
    }
  });

  it.each([
    ['return { a: 1, a: 2 }', { a: 2 }],
    ['return [NaN, -0, Infinity, 2 ** 53 + 1]', [null, 0, null, 9007199254740992]],
    ["return '\\ud800'", '\ud800'],
    ['return undefined', null],
    ['return new Date(0)', '1970-01-01T00:00:00.000Z'],
  ])('B08 %s has a defined result', async (body, expected) => {
    expect((await act(sandbox, body)).output).toEqual(expected);
  });

  it.each([
    ['let v = 1; for (let i = 0; i < 1e5; i++) v = [v]; return v', 'plugin.output_invalid'],
    ['let v = 1; for (let i = 0; i < 100; i++) v = [v]; return v', 'plugin.output_invalid'],
    ['return Array.from({ length: 200000 }, () => 1)', 'plugin.output_invalid'],
    ['return 10n', 'plugin.output_invalid'],
    ['const a = {}; a.a = a; return a', 'plugin.output_invalid'],
    ['return () => 1', 'plugin.output_invalid'],
    ["return Symbol('x')", 'plugin.output_invalid'],
  ])('B08 E06 %s is refused', async (body, code) => {
    expect(verdict(await act(sandbox, body))).toBe(code);
  });
});
