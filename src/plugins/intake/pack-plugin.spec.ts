import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import type { JsonObject } from '../../common/json.js';
import { IntakeError } from './intake-error.js';
import { manifestDigest } from './manifest.js';
import { packPlugin } from './pack-plugin.js';
import { readPackage } from './read-package.js';
import { fakePorts } from './intake-ports.fake.js';
import { verifyPlugin } from './verify-plugin.js';
import { writeArchive, writePacked } from './write-package.js';

const ENTRY = `
  import { greeting } from './greeting.js';
  export default {
    stepwell: 1,
    describe: () => ({
      id: 'greeter',
      actions: [{ id: 'greet', form: 'code', input: { type: 'object' }, output: {}, effects: 'none', idempotency: 'none' }],
    }),
    run: async () => greeting,
  };
`;

const AUTHORED = { manifestVersion: 1, id: 'greeter', entry: './src/index.ts', engine: '>=1 <2' };

describe('packing a plugin', () => {
  let root: string;
  let dir: string;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'stepwell-pack-'));
    dir = join(root, 'greeter');
    await writeFiles(dir, {
      'package.json': packageJson(AUTHORED),
      'src/index.ts': ENTRY,
      'src/greeting.ts': `export const greeting: string = 'hello'; // a comment`,
    });
  });

  afterEach(() => rm(root, { recursive: true }));

  it('derives the manifest from package.json and from what the bundle says', async () => {
    const { manifest, bundle } = await packPlugin(dir, fakePorts());
    expect(manifest).toMatchObject({
      manifestVersion: 1,
      package: '@acme/greeter',
      version: '1.2.3',
      id: 'greeter',
      tier: 'isolate',
      permissions: { hosts: [] },
      limits: {},
      contracts: { greet: expect.stringMatching(/^sha256-[0-9a-f]{64}$/) },
      bundle: { bytes: Buffer.byteLength(bundle) },
    });
    expect(bundle).toContain('__stepwell_plugin');
    expect(bundle).not.toContain('greeting.ts');
  });

  it('gives the same digest for the same sources in another place', async () => {
    const copy = join(root, 'elsewhere', 'deeper', 'copy');
    await cp(dir, copy, { recursive: true });
    const [first, second] = [
      await packPlugin(dir, fakePorts()),
      await packPlugin(copy, fakePorts()),
    ];
    expect(second).toEqual(first);
    expect(manifestDigest(second.manifest)).toBe(manifestDigest(first.manifest));

    await writeFiles(copy, { 'src/greeting.ts': `export const greeting = 'bye';` });
    const changed = await packPlugin(copy, fakePorts());
    expect(changed.manifest.bundle.digest).not.toBe(first.manifest.bundle.digest);
    expect(changed.manifest.contracts).toEqual(first.manifest.contracts);
  });

  it('makes the same archive twice, which reads back and verifies', async () => {
    await writeFiles(dir, { 'README.md': '# Greeter', 'src/secret.env': 'KEY=1' });
    const plugin = await packPlugin(dir, fakePorts());
    await writePacked(dir, plugin);
    const first = await writeArchive({ dir, outDir: join(root, 'a'), plugin });
    const second = await writeArchive({ dir, outDir: join(root, 'b'), plugin });
    expect(first).toBe(join(root, 'a', 'greeter-1.2.3.tgz'));
    expect((await readFile(first)).equals(await readFile(second))).toBe(true);
    for (const path of [first, dir]) {
      const read = await readPackage(path);
      expect(read).toEqual(plugin);
      await verifyPlugin(read, fakePorts());
    }
  });

  it('writes through no links', async () => {
    const plugin = await packPlugin(dir, fakePorts());
    await writeFiles(root, { 'victim/bundle.js': 'precious' });
    const precious = join(root, 'victim/bundle.js');
    await symlink(join(root, 'victim'), join(dir, 'dist'));
    await expect(writePacked(dir, plugin)).rejects.toThrow(/dist isn't a folder/);
    await rm(join(dir, 'dist'));
    await mkdir(join(dir, 'dist'));
    await symlink(precious, join(dir, 'dist/bundle.js'));
    await expect(writePacked(dir, plugin)).rejects.toThrow(/dist\/bundle\.js isn't a regular file/);
    await rm(join(dir, 'dist/bundle.js'));
    await writePacked(dir, plugin);
    await symlink(precious, join(dir, 'greeter-1.2.3.tgz'));
    await expect(writeArchive({ dir, outDir: dir, plugin })).rejects.toThrow(/tgz isn't a regular/);
    expect(await readFile(precious, 'utf8')).toBe('precious');
  });

  it('reports every problem of package.json at once', async () => {
    const stepwell = {
      manifestVersion: 2,
      id: 'Greeter',
      entry: '../outside.ts',
      engine: '>=2 <3',
      permissions: { hosts: ['https://a.example/', 'A.example', '*.b.example', '10.0.0.1:80'] },
      limits: { wallMs: 1e9 },
      typo: 1,
    };
    await writeFiles(dir, { 'package.json': packageJson(stepwell) });
    const error = await refusal(packPlugin(dir, fakePorts()));
    expect(error.code).toBe('plugin.manifest_invalid');
    expect(error.problems.map(({ pointer }) => pointer).sort()).toEqual([
      '/stepwell',
      '/stepwell/engine',
      '/stepwell/entry',
      '/stepwell/id',
      '/stepwell/limits/wallMs',
      '/stepwell/manifestVersion',
      '/stepwell/permissions/hosts/0',
      '/stepwell/permissions/hosts/1',
      '/stepwell/permissions/hosts/3',
    ]);
  });

  it('says that a package is no plugin', async () => {
    await writeFiles(dir, { 'package.json': '{"name":"left-pad","version":"1.0.0"}' });
    await expect(packPlugin(dir, fakePorts())).rejects.toThrow(/no Stepwell plugin/);
    await expect(packPlugin(root, fakePorts())).rejects.toThrow(/holds no package.json/);
  });

  it.each([
    ['a Node built-in', `import 'node:fs'`, /"node:fs" is a part of Node/],
    ['a bare built-in', `import { exec } from 'child_process'; exec('id')`, /"child_process"/],
    ['a built-in below', `import 'fs/promises'`, /"fs\/promises"/],
    ['a native addon', `import './addon.node'`, /addon\.node: native/],
    ['WebAssembly', `import './code.wasm'`, /code\.wasm: native and WebAssembly/],
    ['a dynamic require', `export const f = (n: string) => require(n)`, /index\.ts:2.*"require"/],
    ['a passed require', `export const f = require`, /"require"/],
    ['a dynamic import', `export const f = (n: string) => import(n)`, /"import" expression/],
    ['a missing package', `import 'not-there-at-all'`, /Could not resolve/],
    ['bad syntax', `const = 1`, /index\.ts:2/],
  ])('refuses %s', async (_name, source, message) => {
    await writeFiles(dir, {
      'src/index.ts': `${ENTRY.trim().split('\n')[0] ?? ''}\n${source}`,
      'src/addon.node': 'ELF',
      'src/code.wasm': '\0asm',
    });
    const error = await refusal(packPlugin(dir, fakePorts()));
    expect(error.code).toBe('plugin.bundle_refused');
    expect(error.message).toMatch(message);
  });

  it('refuses sources that would kill the bundler', async () => {
    const nested = `export const x = ${'['.repeat(400_000)}${']'.repeat(400_000)};`;
    await writeFiles(dir, { 'src/greeting.ts': `${nested} export const greeting = 1;` });
    await expect(packPlugin(dir, fakePorts())).rejects.toThrow(/nested deeper than 20000 brackets/);
  });

  it('refuses a bundle of more than 3 MiB', async () => {
    const text = 'x'.repeat(3 * 1024 * 1024);
    await writeFiles(dir, { 'src/greeting.ts': `export const greeting = '${text}';` });
    await expect(packPlugin(dir, fakePorts())).rejects.toThrow(/3145728 are allowed/);
  });

  it('says why a bundle can not describe itself', async () => {
    await writeFiles(dir, { 'src/index.ts': `throw new Error('no license key')` });
    await expect(packPlugin(dir, fakePorts())).rejects.toMatchObject({
      code: 'plugin.load_failed',
      message: expect.stringContaining('no license key'),
    });
  });

  it.each([
    ['another id', { id: 'other' }, '/id'],
    ['an unknown field', { icon: 'x' }, ''],
    ['no actions', { actions: [] }, '/actions'],
  ])('refuses a description with %s', async (_name, change, pointer) => {
    const ports = fakePorts();
    const honest = fakePorts();
    ports.describe = async (bundle) => Object.assign({}, await honest.describe(bundle), change);
    const error = await refusal(packPlugin(dir, ports));
    expect(error.code).toBe('plugin.manifest_invalid');
    expect(error.problems.map((problem) => problem.pointer)).toEqual([pointer]);
  });

  const WAITING = {
    ...{ id: 'rest', form: 'wait', input: {}, output: {} },
    ...{ effects: 'none', idempotency: 'natural', wait: { kind: 'timer', seconds: 5 } },
  };

  it('takes waits for data: without code the plugin is declarative', async () => {
    const ports = fakePorts();
    const rest = structuredClone(WAITING);
    ports.describe = () => Promise.resolve({ id: 'greeter', actions: [rest] });
    const { manifest } = await packPlugin(dir, ports);
    expect(manifest.tier).toBe('declarative');
    // What a step waits for is a part of what plans rely on.
    rest.wait.seconds = 6;
    const changed = await packPlugin(dir, ports);
    expect(changed.manifest.contracts['rest']).not.toBe(manifest.contracts['rest']);
  });

  it.each([
    ['another form', { form: 'value', value: 1 }, ['/wait']],
    ['nothing to wait for', { wait: undefined }, ['/wait']],
    ['an unknown kind', { wait: { kind: 'event' } }, ['/wait/kind']],
    ['no kind', { wait: 'approval' }, ['/wait']],
    ['two times', { wait: { kind: 'timer', seconds: 1, until: 'x' } }, ['/wait']],
    ['no time', { wait: { kind: 'timer' } }, ['/wait']],
    ['no message', { wait: { kind: 'approval' } }, ['/wait/message']],
    ['no plan', { wait: { kind: 'plan' } }, ['/wait/planId']],
    ['a member too many', { wait: { kind: 'callback', url: 'x' } }, ['/wait']],
    ['effects', { effects: 'write', idempotency: 'none' }, ['/effects', '/idempotency']],
    ['hosts that callers name', { generic: true }, ['/generic']],
    ['a credential', { credential: 'vendor' }, ['/credential']],
  ])('refuses a wait with %s', async (_name, change, pointers) => {
    const ports = fakePorts();
    const action = Object.fromEntries(
      Object.entries({ ...WAITING, ...change }).filter(([, value]) => value !== undefined),
    );
    ports.describe = () => Promise.resolve({ id: 'greeter', actions: [action as JsonObject] });
    const error = await refusal(packPlugin(dir, ports));
    expect(error.code).toBe('plugin.manifest_invalid');
    const found = error.problems.map(({ pointer }) => pointer);
    expect(found).toEqual(pointers.map((pointer) => `/actions/0${pointer}`));
  });

  const RULE = { that: 'input.body != ""', message: 'is empty', pointer: '/body' };
  const CALLING = {
    ...{ id: 'call', form: 'http', input: {}, output: {}, effects: 'write', idempotency: 'none' },
    http: {
      ...{ method: 'POST', url: 'https://a.example/', body: '{{ input.body }}' },
      ...{ bodyAs: 'textOrJson', require: [RULE], timeoutMs: '{{ input.t }}' },
    },
  };

  it.each<[string, JsonObject, string]>([
    ['a way to send a body that there is not', { bodyAs: 'xml' }, '/bodyAs'],
    ['a requirement that says nothing', { require: [{ that: 'true' }] }, '/require/0/message'],
    [
      'a requirement that points nowhere',
      { require: [{ ...RULE, pointer: 'a' }] },
      '/require/0/pointer',
    ],
    ['too many requirements', { require: Array<JsonObject>(51).fill(RULE) }, '/require'],
    ['a time that is none', { timeoutMs: 1.5 }, '/timeoutMs'],
    ['a member that there is not', { followRedirects: true }, ''],
  ])('refuses a request with %s', async (_name, change, pointer) => {
    const ports = fakePorts();
    const describeWith = (more: JsonObject): void => {
      const action = { ...CALLING, http: { ...CALLING.http, ...more } };
      ports.describe = () => Promise.resolve({ id: 'greeter', actions: [action] });
    };
    describeWith({});
    expect((await packPlugin(dir, ports)).manifest.actions[0]?.http).toEqual(CALLING.http);
    describeWith(change);
    const error = await refusal(packPlugin(dir, ports));
    expect(error.code).toBe('plugin.manifest_invalid');
    expect(error.problems.map((problem) => problem.pointer)).toEqual([`/actions/0/http${pointer}`]);
  });

  it('asks for a generic action where callers name the host', async () => {
    const permissions = { hosts: ['a.example', '*', { fromInput: 'url' }] };
    await writeFiles(dir, { 'package.json': packageJson({ ...AUTHORED, permissions }) });
    const error = await refusal(packPlugin(dir, fakePorts()));
    expect(error.problems.map(({ pointer }) => pointer)).toEqual([
      '/permissions/hosts/1',
      '/permissions/hosts/2',
    ]);
  });

  it('hands on what the rules of schemas say, and where', async () => {
    const ports = fakePorts();
    ports.findSchemaProblems = (schema) =>
      Promise.resolve(
        Object.keys(schema).length > 0 ? [{ pointer: '/type', detail: 'is banned today' }] : [],
      );
    const error = await refusal(packPlugin(dir, ports));
    expect(error.problems).toEqual([
      { pointer: '/actions/0/input/type', detail: 'is banned today' },
    ]);
  });
});

function packageJson(stepwell: object): string {
  return JSON.stringify({ name: '@acme/greeter', version: '1.2.3', stepwell });
}

async function writeFiles(dir: string, files: Record<string, string>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(dir, name)), { recursive: true });
    await writeFile(join(dir, name), text);
  }
}

async function refusal(packing: Promise<unknown>): Promise<IntakeError> {
  const error: unknown = await packing.then(
    () => new Error('was not refused'),
    (reason: unknown) => reason,
  );
  if (error instanceof IntakeError) return error;
  throw error;
}
