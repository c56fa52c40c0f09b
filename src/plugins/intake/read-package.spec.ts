import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { PluginManifest } from '@stepwell/plugin-sdk';
import { Header } from 'tar';

import { fakePorts } from './intake-ports.fake.js';
import { deriveContracts, sha256 } from './manifest.js';
import { readPackage, readPackageArchive } from './read-package.js';
import { verifyPlugin } from './verify-plugin.js';

const ACTION = {
  id: 'greet',
  form: 'code',
  input: { type: 'object' },
  output: {},
  effects: 'write',
  idempotency: 'none',
} as const;

const BUNDLE = `var __stepwell_plugin = { default: { describe: () => (${JSON.stringify({ id: 'greeter', actions: [ACTION] })}) } };`;

describe('reading a packed plugin', () => {
  it('takes an archive as npm makes it', async () => {
    const plugin = await readPackageArchive(archive(entries()));
    expect(plugin).toEqual({ manifest: manifest(), bundle: BUNDLE });
    await expect(verifyPlugin(plugin, fakePorts())).resolves.toBeUndefined();
  });

  it.each([
    ['../outside'],
    ['package/../../outside'],
    ['package/a/../../../outside'],
    ['/etc/passwd'],
    ['C:/windows/x'],
    ['package\\dist\\bundle.js'],
    ['package/./dist/x'],
    ['package//x'],
    ['other/dist/bundle.js'],
    ['package/line\nbreak'],
    [`package/${'x'.repeat(600)}`],
  ])('refuses the path %j', async (path) => {
    const bytes = archive([...entries(), { path, body: 'x' }]);
    await expect(readPackageArchive(bytes)).rejects.toMatchObject({
      code: 'plugin.package_refused',
    });
  });

  it.each(['SymbolicLink', 'Link', 'CharacterDevice', 'FIFO'] as const)(
    'refuses an entry of type %s',
    async (type) => {
      const linkpath = type.endsWith('Link') ? '/etc/passwd' : '';
      const evil = { path: 'package/dist/link', type, linkpath, body: '' };
      await expect(readPackageArchive(archive([...entries(), evil]))).rejects.toThrow(
        /only files may be there/,
      );
    },
  );

  it('refuses a file that is there twice, also by another case', async () => {
    for (const path of ['package/dist/bundle.js', 'package/DIST/Bundle.js']) {
      const bytes = archive([...entries(), { path, body: 'evil' }]);
      await expect(readPackageArchive(bytes)).rejects.toThrow(/is there twice/);
    }
  });

  it.each(['package/addon.node', 'package/lib/code.WASM'])('refuses %s', async (path) => {
    const bytes = archive([...entries(), { path, body: 'ELF' }]);
    await expect(readPackageArchive(bytes)).rejects.toThrow(/native or WebAssembly/);
  });

  it('bounds sizes and counts', async () => {
    const bomb = archive([...entries(), { path: 'package/zeros', body: '\0'.repeat(40 << 20) }]);
    expect(bomb.byteLength).toBeLessThan(100_000);
    await expect(readPackageArchive(bomb)).rejects.toThrow(/more than 32 MiB/);
    await expect(readPackageArchive(new Uint8Array(9 << 20))).rejects.toThrow(/larger than 8 MiB/);
    const big = { path: 'package/dist/bundle.js', body: ' '.repeat(4 << 20) };
    await expect(readPackageArchive(archive([big]))).rejects.toThrow(/larger than 3145728 bytes/);
    const many = Array.from({ length: 2_001 }, (_, i) => ({
      path: `package/${String(i)}`,
      body: '',
    }));
    await expect(readPackageArchive(archive(many))).rejects.toThrow(/more than 2000 entries/);
  });

  it('refuses what is cut, damaged or no archive', async () => {
    const whole = archive(entries());
    const damaged = Buffer.from(tarball(entries()));
    damaged[10] = 0x21;
    for (const bytes of [
      whole.subarray(0, -30),
      Buffer.from('hello'),
      gzipSync(damaged),
      gzipSync(''),
    ]) {
      await expect(readPackageArchive(bytes)).rejects.toMatchObject({
        code: 'plugin.package_refused',
      });
    }
  });

  it('names a missing file', async () => {
    const bytes = archive(entries().slice(0, 2));
    await expect(readPackageArchive(bytes)).rejects.toThrow(/dist\/bundle.js is missing/);
  });

  it('compares the bytes with the integrity that was asked for', async () => {
    const bytes = archive(entries());
    const integrity = `sha512-${createHash('sha512').update(bytes).digest('base64')}`;
    await expect(readPackageArchive(bytes, { integrity })).resolves.toBeDefined();
    const readme = { path: 'package/README.md', body: 'one more file' };
    await expect(
      readPackageArchive(archive([...entries(), readme]), { integrity }),
    ).rejects.toMatchObject({ code: 'plugin.digest_mismatch' });
  });

  it('refuses a bundle that is not the one of the manifest', async () => {
    const bytes = archive(entries({ bundle: `${BUNDLE} ` }));
    await expect(readPackageArchive(bytes)).rejects.toMatchObject({
      code: 'plugin.digest_mismatch',
      problems: [{ pointer: '/bundle/digest' }, { pointer: '/bundle/bytes' }],
    });
  });

  it('refuses manifests of another version before it looks further', async () => {
    const future = { manifestVersion: 2, whatever: true };
    await expect(readPackageArchive(archive(entries({ manifest: future })))).rejects.toMatchObject({
      code: 'plugin.manifest_invalid',
      problems: [{ pointer: '/manifestVersion' }],
    });
  });

  it('refuses keys that reach into prototypes', async () => {
    const text = JSON.stringify(manifest()).replace(
      '"limits":{}',
      '"limits":{"__proto__":{"cpuMs":1}}',
    );
    const files = entries().map((entry) =>
      entry.path.endsWith('manifest.json') ? { ...entry, body: text } : entry,
    );
    await expect(readPackageArchive(archive(files))).rejects.toThrow(/"__proto__" is not allowed/);
  });

  it('refuses a manifest that asks for more than package.json', async () => {
    const greedy = { ...manifest(), version: '9.9.9', permissions: { hosts: ['evil.example'] } };
    await expect(readPackageArchive(archive(entries({ manifest: greedy })))).rejects.toMatchObject({
      code: 'plugin.manifest_mismatch',
      problems: [{ pointer: '/version' }, { pointer: '/permissions/hosts' }],
    });
  });
});

describe('reading a folder', () => {
  let dir: string;

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'stepwell-read-'));
    await mkdir(join(dir, 'dist'));
    for (const { path, body } of entries()) await writeFile(join(dir, path.slice(8)), body);
  });

  afterEach(() => rm(dir, { recursive: true }));

  it('takes what pack wrote', async () => {
    await expect(readPackage(dir)).resolves.toEqual({ manifest: manifest(), bundle: BUNDLE });
  });

  it('follows no links', async () => {
    await rm(join(dir, 'dist/bundle.js'));
    await writeFile(join(dir, 'elsewhere.js'), BUNDLE);
    await symlink(join(dir, 'elsewhere.js'), join(dir, 'dist/bundle.js'));
    await expect(readPackage(dir)).rejects.toMatchObject({ code: 'plugin.package_refused' });
    await rename(join(dir, 'dist'), join(dir, 'moved'));
    await symlink('moved', join(dir, 'dist'));
    await expect(readPackage(dir)).rejects.toThrow(/dist is a link/);
    await expect(readPackage(join(dir, 'nothing'))).rejects.toThrow(/neither a folder nor a file/);
  });
});

describe('verifying a packed plugin', () => {
  it('says where the manifest lies', async () => {
    const lying = {
      ...manifest(),
      title: 'Greeter',
      actions: [{ ...ACTION, effects: 'read' as const }],
    };
    await expect(
      verifyPlugin({ manifest: lying, bundle: BUNDLE }, fakePorts()),
    ).rejects.toMatchObject({
      code: 'plugin.manifest_mismatch',
      problems: [{ pointer: '/title' }, { pointer: '/actions/0/effects' }],
    });
  });

  it('recomputes the contracts', async () => {
    const lying = { ...manifest(), contracts: { greet: sha256('something else') } };
    await expect(
      verifyPlugin({ manifest: lying, bundle: BUNDLE }, fakePorts()),
    ).rejects.toMatchObject({
      problems: [{ pointer: '/contracts/greet' }],
    });
  });
});

interface Entry {
  path: string;
  body: string;
  type?: 'File' | 'SymbolicLink' | 'Link' | 'CharacterDevice' | 'FIFO';
  linkpath?: string;
}

function manifest(): PluginManifest {
  return {
    manifestVersion: 1,
    package: '@acme/greeter',
    version: '1.2.3',
    engine: '>=1 <2',
    tier: 'isolate',
    permissions: { hosts: [] },
    limits: {},
    id: 'greeter',
    actions: [ACTION],
    contracts: deriveContracts({ id: 'greeter', actions: [ACTION] }),
    bundle: { digest: sha256(BUNDLE), bytes: BUNDLE.length },
  };
}

function entries(changes: { manifest?: object; bundle?: string } = {}): Entry[] {
  const stepwell = { manifestVersion: 1, id: 'greeter', entry: 'src/index.ts', engine: '>=1 <2' };
  const files = {
    'package.json': JSON.stringify({ name: '@acme/greeter', version: '1.2.3', stepwell }),
    'dist/manifest.json': JSON.stringify(changes.manifest ?? manifest()),
    'dist/bundle.js': changes.bundle ?? BUNDLE,
  };
  return Object.entries(files).map(([name, body]) => ({ path: `package/${name}`, body }));
}

function archive(files: Entry[]): Buffer {
  return gzipSync(tarball(files));
}

/** Written block by block: no tool makes archives as bad as these. */
function tarball(files: Entry[]): Buffer {
  const blocks = files.flatMap(({ path, body, type = 'File', linkpath = '' }) => {
    const bytes = Buffer.from(body);
    const long = Buffer.byteLength(path) > 100 ? longPath(path) : [];
    const header = new Header({
      path: path.slice(0, 100),
      mode: 0o644,
      size: bytes.length,
      type,
      linkpath,
    });
    return [...long, encode(header), padded(bytes)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

/** GNU's way of writing a path of more than 100 bytes. */
function longPath(path: string): Buffer[] {
  const bytes = Buffer.from(`${path}\0`);
  const header = new Header({
    path: '././@LongLink',
    mode: 0o644,
    size: bytes.length,
    type: 'NextFileHasLongPath',
  });
  return [encode(header), padded(bytes)];
}

function encode(header: Header): Buffer {
  const block = Buffer.alloc(512);
  header.encode(block, 0);
  return block;
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}
