import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import {
  act,
  bundle,
  eventually,
  isAlive,
  RecordingHost,
  SandboxHarness,
  stepCall,
  verdict,
} from './isolate-sandbox.harness.js';
import { launchPlain, type ChildLauncher } from './child-launcher.js';

let harness: SandboxHarness;

beforeAll(async () => {
  harness = await SandboxHarness.create();
}, 20_000);

afterAll(() => harness.close());

/** Remembers the pid of every child that is started. */
function recordingLauncher(): { pids: number[]; launcher: ChildLauncher } {
  const pids: number[] = [];
  return {
    pids,
    launcher: (command) => {
      const child = launchPlain(command);
      if (child.pid !== undefined) pids.push(child.pid);
      return child;
    },
  };
}

describe('tenants', () => {
  const TELL = `globalThis.canary ??= k.input.canary; return { canary };`;

  it('L04 two tenants never share a process, nor see each other', async () => {
    const { pids, launcher } = recordingLauncher();
    const sandbox = harness.sandbox({ maxChildren: 2, spares: 0, launcher });
    for (let round = 0; round < 30; round++) {
      const results = await Promise.all(
        ['a', 'b'].map((tenantId) =>
          act(sandbox, TELL, { tenantId, input: { canary: `${tenantId}-${String(round)}` } }),
        ),
      );
      expect(results.map(({ output }) => output)).toEqual([
        { canary: `a-${String(round)}` },
        { canary: `b-${String(round)}` },
      ]);
    }
    expect(pids).toHaveLength(2);
    // A third tenant gets neither of the two processes.
    await act(sandbox, TELL, { tenantId: 'c', input: { canary: 'c' } });
    expect(pids).toHaveLength(3);
    await eventually(() => pids.filter(isAlive).length === 2);
  });

  it('L04 bites when children are shared', async () => {
    const { pids, launcher } = recordingLauncher();
    const sandbox = harness.sandbox({
      maxChildren: 1,
      spares: 0,
      launcher,
      defences: { tenantChildren: false, freshIsolate: false },
    });
    await act(sandbox, TELL, { tenantId: 'a', input: { canary: 'secret of a' } });
    const stolen = await act(sandbox, TELL, { tenantId: 'b', input: { canary: 'b' } });
    expect(stolen.output).toEqual({ canary: 'secret of a' });
    expect(pids).toHaveLength(1);
  });

  it('R28 a healthy tenant is served amid hostile ones', async () => {
    const sandbox = harness.sandbox({ maxChildren: 3, spares: 1 });
    const hostile = ['h1', 'h2', 'h3', 'h4', 'h5', 'h6'].flatMap((tenantId) =>
      ['for (;;);', 'for (;;) await 0', 'const a = []; for (;;) a.push({})'].map((body) =>
        act(sandbox, body, { tenantId, limits: { cpuMs: 150 } }),
      ),
    );
    const began = performance.now();
    for (let i = 0; i < 3; i++) {
      expect(verdict(await act(sandbox, 'return 1', { tenantId: 'healthy' }))).toBe('ok');
      expect(performance.now() - began).toBeLessThan(2000);
    }
    for (const result of await Promise.all(hostile)) expect(result.success).toBe(false);
  }, 15_000);

  it('R28 a healthy tenant is served while all children are taken by calls that only wait', async () => {
    const sandbox = harness.sandbox({ maxChildren: 2, spares: 0 });
    const stop = new AbortController();
    let ended = 0;
    const sleeping = ['h1', 'h2'].flatMap((tenantId) =>
      Array.from({ length: 3 }, async () => {
        const body = 'await new Promise((resolve) => setTimeout(resolve, 25_000))';
        await act(sandbox, body, { tenantId, limits: { wallMs: 28_000 }, signal: stop.signal });
        ended++;
      }),
    );
    await eventually(() => sandbox.stats().calls === 2);
    for (let i = 0; i < 3; i++) {
      expect(verdict(await act(sandbox, 'return 1', { tenantId: 'healthy' }))).toBe('ok');
    }
    expect(ended).toBe(0);
    stop.abort();
    await Promise.all(sleeping);
    await eventually(() => sandbox.stats().children <= 2, 10_000);
  }, 40_000);

  it('runs other calls of a tenant while the bundle of one can not be read', async () => {
    const sandbox = harness.sandbox({ maxChildren: 2, callsAtOnce: 1 });
    const read = Promise.withResolvers<string>();
    const held = { ...stepCall(bundle('return 1')), loadBundle: () => read.promise };
    const { signal } = new AbortController();
    const first = sandbox.run(held, new RecordingHost(), signal);
    expect(verdict(await act(sandbox, 'return 2'))).toBe('ok');
    read.resolve(bundle('return 1'));
    expect((await first).output).toBe(1);
  });

  it('recycles a child that has served enough', async () => {
    const { pids, launcher } = recordingLauncher();
    const sandbox = harness.sandbox({ maxChildren: 1, spares: 0, launcher, recycle: { calls: 3 } });
    for (let i = 0; i < 7; i++) expect(verdict(await act(sandbox, 'return 1'))).toBe('ok');
    expect(pids).toHaveLength(3);
    await eventually(() => sandbox.stats().recycled === 2 && pids.filter(isAlive).length === 1);
  });
});

describe("the child's process", () => {
  it('has no environment, no files, no children, no core dumps', async () => {
    const sandbox = await harness.sandboxWithChild(`
      var onCall = ({ call }) => {
        const tried = {};
        const attempt = (name, what) => { try { what(); tried[name] = 'allowed' } catch (e) { tried[name] = e.code } };
        attempt('read', () => require('node:fs').readFileSync('/etc/passwd'));
        attempt('write', () => require('node:fs').writeFileSync('/tmp/stepwell-escape', ''));
        attempt('fork', () => require('node:child_process').spawnSync('/bin/true'));
        attempt('worker', () => new (require('node:worker_threads').Worker)('1', { eval: true }));
        done(call, { tried, env: Object.keys(process.env).filter((name) => !['PWD', 'SHLVL', '_', 'OLDPWD'].includes(name)),
          cwd: process.cwd(), args: process.execArgv.includes('--permission') });
      };`);
    const denied = 'ERR_ACCESS_DENIED';
    expect((await act(sandbox, 'return 1')).output).toEqual({
      tried: { read: denied, write: denied, fork: denied, worker: denied },
      env: [],
      cwd: '/',
      args: true,
    });
  });

  it('bites without the permission model', async () => {
    const script = `var onCall = ({ call }) => done(call, require('node:fs').readFileSync('/etc/passwd').length > 0)`;
    const sandbox = await harness.sandboxWithChild(script, { defences: { permissions: false } });
    expect((await act(sandbox, 'return 1')).output).toBe(true);
  });

  it('C14 dies with its host, even in the middle of a loop', async () => {
    const require = createRequire(import.meta.url);
    const host = join(harness.directory, 'host.mjs');
    const source = new URL('isolate-sandbox.ts', import.meta.url);
    await harness.node(`import { build } from ${JSON.stringify(require.resolve('esbuild'))};
      await build({ entryPoints: [${JSON.stringify(fileURLToPath(source))}], outfile: ${JSON.stringify(host)},
        bundle: true, platform: 'node', format: 'esm', logLevel: 'error',
        define: { 'import.meta.url': ${JSON.stringify(JSON.stringify(source.href))} } });`);
    const loop = bundle('for (;;);');
    const script = `import { spawn } from 'node:child_process';
      import { IsolateSandbox } from ${JSON.stringify(host)};
      let pid;
      const launcher = ({ file, args }) => {
        const stdio = ['ignore', 'ignore', 'pipe', 'pipe'];
        const child = spawn(file, args, { env: {}, cwd: '/', detached: true, stdio });
        pid = child.pid;
        return child;
      };
      const assets = ${JSON.stringify(harness.assets)};
      const sandbox = new IsolateSandbox({ maxChildren: 1, spares: 0, assets, launcher });
      const call = ${JSON.stringify(stepCall(loop, { limits: { cpuMs: 60_000 } }))};
      call.loadBundle = async () => ${JSON.stringify(loop)};
      void sandbox.run(call, { log() {} }, new AbortController().signal);
      setInterval(() => { if (sandbox.stats().calls === 1) console.log(pid); }, 50);`;
    const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const pid = await new Promise<number>((resolve, reject) => {
      parent.stdout.once('data', (chunk: Buffer) => {
        resolve(Number.parseInt(chunk.toString(), 10));
      });
      parent.once('exit', () => {
        reject(new Error('the host ended'));
      });
    });
    expect(isAlive(pid)).toBe(true);
    parent.kill('SIGKILL');
    await eventually(() => !isAlive(pid));
  }, 20_000);

  it('X13 writes no core and no file, and is first to go when memory runs out', async () => {
    const { pids, launcher } = recordingLauncher();
    const sandbox = harness.sandbox({ maxChildren: 1, spares: 0, launcher });
    await act(sandbox, 'return 1');
    const pid = String(pids[0]);
    const limits = await readFile(`/proc/${pid}/limits`, 'utf8');
    expect(limits).toMatch(/Max core file size +0 +0/);
    expect(limits).toMatch(/Max file size +0 +0/);
    expect((await readFile(`/proc/${pid}/oom_score_adj`, 'utf8')).trim()).toBe('1000');
    const environment = (await readFile(`/proc/${pid}/environ`, 'latin1'))
      .split('\0')
      .filter((name) => name !== '');
    expect(environment.filter((name) => !/^(PWD|OLDPWD|SHLVL|_)=/.test(name))).toEqual([]);
  });

  it('leaves nothing behind when the sandbox closes', async () => {
    const { pids, launcher } = recordingLauncher();
    const sandbox = harness.sandbox({ spares: 2, launcher });
    const running = act(sandbox, 'for (;;);', { limits: { cpuMs: 60_000 } });
    await eventually(() => sandbox.stats().busy === 1 && sandbox.stats().starting === 0);
    await sandbox.close();
    expect(verdict(await running)).toBe('sandbox.unavailable');
    expect(pids.filter(isAlive)).toEqual([]);
    expect(verdict(await act(sandbox, 'return 1'))).toBe('sandbox.unavailable');
  });
});

describe('hostile children', () => {
  it('C01 an abort is a crash, and the next call works', async () => {
    const sandbox = await harness.sandboxWithChild(`
      var onCall = ({ call, action, idempotencyKey }) => process.abort()`);
    expect((await act(sandbox, 'return 1')).error).toMatchObject({
      code: 'plugin.crashed',
      retryable: true,
    });
    await eventually(() => sandbox.stats().children === 0);
    expect(sandbox.stats().crashes).toBe(1);
    expect(verdict(await act(sandbox, 'return 1'))).toBe('plugin.crashed');
  });

  it('C03 a complete done frame counts, whatever comes after', async () => {
    const sandbox = await harness.sandboxWithChild(`
      var onCall = ({ call }) => send({ type: 'done', call, ok: true }, '{"kept":1}', () => process.kill(process.pid, 'SIGKILL'))`);
    expect((await act(sandbox, 'return 1')).output).toEqual({ kept: 1 });
    await eventually(() => sandbox.stats().children === 0);
  });

  it('a done frame that is cut short is none', async () => {
    const sandbox = await harness.sandboxWithChild(`
      var onCall = ({ call }) => {
        const frame = raw(JSON.stringify({ type: 'done', call, ok: true }), Buffer.from('{"kept":1}'));
        pipe.write(frame.subarray(0, frame.length - 1), () => process.exit(0));
      }`);
    expect(verdict(await act(sandbox, 'return 1'))).toBe('plugin.crashed');
  });

  it('L03 frames after done are ignored, and end the child', async () => {
    const script = `
      var onCall = ({ call }) => {
        done(call, 'first');
        send({ type: 'log', call, level: 'info', message: 'late' });
        done(call, 'second');
      }`;
    const host = new RecordingHost();
    const sandbox = await harness.sandboxWithChild(script);
    expect((await act(sandbox, 'return 1', { host })).output).toBe('first');
    await eventually(() => sandbox.stats().children === 0, 500);
    expect(host.lines).toEqual([]);
  });

  it('L03 bites when nobody minds', async () => {
    const script = `var onCall = ({ call }) => { done(call, 1); done(call, 2); send({ type: 'idle', call }); }`;
    const sandbox = await harness.sandboxWithChild(script, {
      defences: { silenceAfterDone: false },
    });
    await act(sandbox, 'return 1');
    await eventually(() => sandbox.stats().idle === 1, 500);
  });

  it('L03 a child that speaks between calls is ended', async () => {
    const sandbox = await harness.sandboxWithChild(`
      var onCall = ({ call }) => {
        done(call, 1);
        send({ type: 'idle', call });
        setTimeout(() => send({ type: 'log', call, level: 'info', message: 'x' }), 50);
      }`);
    expect(verdict(await act(sandbox, 'return 1'))).toBe('ok');
    await eventually(() => sandbox.stats().children === 0);
  });

  it.each([
    [
      'lines',
      `for (let i = 0; i < 300; i++) send({ type: 'log', call, level: 'info', message: 'x' })`,
    ],
    ['aborts', `for (let i = 0; i < 300; i++) send({ type: 'abort', call, id: i })`],
  ])('a flood of %s ends the child', async (_name, sends) => {
    const sandbox = await harness.sandboxWithChild(`var onCall = ({ call }) => { ${sends} }`);
    const host = new RecordingHost();
    expect(verdict(await act(sandbox, 'return 1', { host }))).toBe('plugin.protocol_violation');
    expect(host.lines.length).toBeLessThanOrEqual(201);
  });

  it('a child that reads nothing does not fill the host', async () => {
    const sandbox = await harness.sandboxWithChild(`
      var onCall = ({ call }) => {
        pipe.pause();
        const request = { method: 'GET', url: 'https://a.test', headers: [], redirect: 'follow', hasBody: false };
        let id = 0;
        setInterval(() => send({ type: 'http', call, id: id++, request }), 5);
      }`);
    const host = new RecordingHost(() => Promise.resolve({ body: Buffer.alloc(5 * 2 ** 20) }));
    const result = await act(sandbox, 'return 1', {
      host,
      limits: { wallMs: 4000, hostCallsInFlight: 200 },
    });
    expect(verdict(result)).toBe('plugin.protocol_violation');
    expect(host.requests.length).toBeLessThan(20);
  });

  it('C09 a child that does not clean up is killed within a second or so', async () => {
    const sandbox = await harness.sandboxWithChild('var onCall = ({ call }) => done(call, 1)');
    expect(verdict(await act(sandbox, 'return 1'))).toBe('ok');
    await eventually(() => sandbox.stats().children === 0, 1500);
  });

  it.each([
    [
      'a header of 2^31 bytes',
      `const b = Buffer.alloc(8); b.writeUInt32BE(2 ** 31, 0); pipe.write(b)`,
    ],
    [
      'a body of 2^32 - 1 bytes',
      `const b = Buffer.alloc(8); b.writeUInt32BE(2, 0); b.writeUInt32BE(2 ** 32 - 1, 4); pipe.write(b)`,
    ],
    ['garbage', `pipe.write(require('node:crypto').randomBytes(64).fill(0xff, 0, 8))`],
    ['invalid UTF-8', `pipe.write(raw(Buffer.from([0xff, 0xfe, 0x80]), Buffer.alloc(0)))`],
    ['deep JSON', `pipe.write(raw('['.repeat(1e6), Buffer.alloc(0)))`],
    ['a header that is no JSON', `pipe.write(raw('{"type":', Buffer.alloc(0)))`],
    [
      '__proto__ in a header',
      `pipe.write(raw('{"type":"idle","call":"x","__proto__":{}}', Buffer.alloc(0)))`,
    ],
    ['an unknown message', `send({ type: 'exec', call })`],
    ["another call's id", `done('0'.repeat(32), 1)`],
    ['idle before done', `send({ type: 'idle', call })`],
    ['two starts', `send({ type: 'started', call }); send({ type: 'started', call })`],
    [
      'one request id twice',
      `for (let i = 0; i < 2; i++) send({ type: 'http', call, id: 1, request: { method: 'GET', url: 'https://a.test',
      headers: [], redirect: 'follow', hasBody: false } })`,
    ],
    ['a request without a URL', `send({ type: 'http', call, id: 1, request: { method: 'GET' } })`],
    [
      'a failure that there is not',
      `send({ type: 'done', call, ok: false, code: 'outcome.unknown', message: '' })`,
    ],
  ])('C11 %s -> protocol kill', async (_name, sends) => {
    const sandbox = await harness.sandboxWithChild(`var onCall = ({ call }) => { ${sends} }`);
    const host = new RecordingHost(() => new Promise(() => undefined));
    const before = process.memoryUsage.rss();
    expect(verdict(await act(sandbox, 'return 1', { host, limits: { wallMs: 3000 } }))).toBe(
      'plugin.protocol_violation',
    );
    expect(process.memoryUsage.rss() - before).toBeLessThan(32 * 2 ** 20);
    await eventually(() => sandbox.stats().children === 0);
  });

  it('a result over the limit is refused though the child let it pass', async () => {
    const sandbox = await harness.sandboxWithChild(
      `var onCall = ({ call }) => done(call, 'x'.repeat(2e6))`,
    );
    expect(verdict(await act(sandbox, 'return 1'))).toBe('plugin.output_too_large');
  });

  it('a child that is refused by nobody can not claim that egress refused it', async () => {
    const sandbox = await harness.sandboxWithChild(`
      var onCall = ({ call }) => send({ type: 'done', call, ok: false, code: 'egress.failed', message: 'try again' })`);
    expect(verdict(await act(sandbox, 'return 1'))).toBe('plugin.protocol_violation');
  });
});
