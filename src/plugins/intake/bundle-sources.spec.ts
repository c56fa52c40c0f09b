import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { bundleSources } from './bundle-sources.js';

const SECRET = 'hunter2-of-the-host';

describe('what sources may be made of', () => {
  let root: string;
  let dir: string;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'stepwell-bundle-'));
    dir = join(root, 'plugins', 'greeter');
    await writeFiles(root, {
      'secret/x.txt': SECRET,
      'secret/x.json': JSON.stringify({ key: SECRET }),
      'secret/x.js': `export default '${SECRET}'`,
      'secret/root.key': SECRET,
      'plugins/greeter/package.json': '{"name":"greeter"}',
      'plugins/greeter/src/own.json': '{"greeting":"hello"}',
      'plugins/greeter/src/notes.txt': 'hello',
    });
  });

  afterEach(() => rm(root, { recursive: true }));

  it.each([
    ['a text file outside', `import x from '../../../secret/x.txt'`],
    ['JSON outside', `import x from '../../../secret/x.json'`],
    ['code outside', `import x from '../../../secret/x.js'`],
    ['code outside, required', `const x = require('../../../secret/x.js')`],
    ['code outside, later', `const x = await import('../../../secret/x.js')`],
    ['whatever lies outside', 'const x = (n: string) => import(`../../../secret/${n}.js`)'],
    ['an absolute path', `import x from 'ROOT/secret/x.json'`],
    ['an absolute path as text', `import x from 'ROOT/secret/root.key' with { type: 'text' }`],
    ['the environment', `import x from '/proc/self/environ' with { type: 'text' }`],
    ['the environment, bare', `import x from '/proc/self/environ'`],
    ['bytes', `import x from './own.json' with { type: 'bytes' }`],
    ['text', `import x from './notes.txt'`],
    ['a URL of data', `import x from 'data:text/javascript,export default 1'`],
    ['a URL of a file', `import x from 'file://ROOT/secret/x.js'`],
    ['a URL', `import x from 'https://evil.example/x.js'`],
    ['a way up through a name', `import x from 'dependency/../../../../secret/x.json'`],
    ['a package that no name led to', `import x from '../../node_modules/other/x.json'`],
  ])('refuses %s', async (_name, source) => {
    await writeFiles(root, {
      'plugins/greeter/node_modules/dependency/package.json': '{"name":"dependency"}',
      'plugins/node_modules/other/package.json': '{"name":"other"}',
      'plugins/node_modules/other/x.json': JSON.stringify(SECRET),
    });
    await expectRefusal(`${source.replace('ROOT', root)}; export default x;`);
  });

  it.each([
    ['a file', 'src/linked.js', 'secret/x.js', './linked.js'],
    ['a folder', 'src/linked', 'secret', './linked/x.js'],
    ['a package of another name', 'node_modules/linked', 'secret', 'linked/x.js'],
    ['a folder around the package', 'node_modules/around', '', 'around/secret/x.json'],
  ])('refuses a link to %s outside', async (_name, from, to, specifier) => {
    await writeFiles(root, {
      'package.json': '{"name":"around"}',
      'secret/package.json': '{"name":"payroll"}',
    });
    await mkdir(dirname(join(dir, from)), { recursive: true });
    await symlink(join(root, to), join(dir, from));
    await expectRefusal(`import x from '${specifier}'; export default x;`);
  });

  it('refuses a linked entry and quotes nothing of it', async () => {
    await symlink('/etc/passwd', join(dir, 'src/index.ts'));
    const message = await messageOf(bundleSources({ dir, entry: './src/index.ts' }));
    expect(message).toMatch(/leads out of the package/);
    expect(message).not.toMatch(/etc|passwd|root/);
  });

  it('quotes nothing of a package.json that is a link', async () => {
    await writeFiles(root, {
      'secret/words': `${SECRET}\n`,
      'plugins/greeter/src/deep/x.js': 'export default 1 +',
    });
    await symlink(join(root, 'secret/words'), join(dir, 'src/deep/package.json'));
    await expectRefusal(`import x from './deep/x.js'; export default x;`);
  });

  it('takes its own JSON, packages by name, and links of a workspace', async () => {
    await writeFiles(root, {
      'plugins/node_modules/installed/package.json': '{"main":"./lib/index.js"}',
      'plugins/node_modules/installed/lib/index.js': `export { default } from '../data.json'`,
      'plugins/node_modules/installed/data.json': '"from-installed"',
      'sdk/package.json': '{"name":"@acme/sdk","exports":{".":"./dist/esm/index.js"}}',
      'sdk/dist/esm/package.json': '{"type":"module"}',
      'sdk/dist/esm/index.js': `export { default } from '../shared.js'`,
      'sdk/dist/shared.js': `export default 'from-workspace'`,
    });
    await mkdir(join(root, 'plugins/node_modules/@acme'));
    await symlink('../../../sdk', join(root, 'plugins/node_modules/@acme/sdk'));
    const text = await bundle(`
      import own from './own.json' with { type: 'json' };
      import installed from 'installed';
      import linked from '@acme/sdk';
      export default [own.greeting, installed, linked];`);
    for (const part of ['hello', 'from-installed', 'from-workspace']) {
      expect(text).toContain(part);
    }
  });

  it('bounds each file before it reads it', async () => {
    await writeFiles(dir, { 'src/big.js': `/*${' '.repeat(8 * 1024 * 1024)}*/` });
    await expect(bundle(`import './big.js'`)).rejects.toThrow(/big\.js is larger than 8 MiB/);
  });

  it('refuses a pipe where a source should be', async () => {
    execFileSync('mkfifo', [join(dir, 'src/pipe.js')]);
    await expect(bundle(`import './pipe.js'`)).rejects.toThrow(/pipe\.js isn't a regular file/);
  });

  it('gives up on a pipe that the bundler itself waits for, and shows it no environment', async () => {
    execFileSync('mkfifo', [join(dir, 'src/package.json')]);
    // Specs that ran before in this process may have left services of their own.
    const before = new Set(descendants());
    const newOnes = (): number[] => descendants().filter((pid) => !before.has(pid));
    process.env.STEPWELL_SPEC_SECRET = SECRET;
    try {
      const bundling = messageOf(bundle('export default 1', 2_000));
      const environments = await untilTwo(() => newOnes().map(readEnvironment));
      expect(environments.join()).not.toContain(SECRET);
      expect(await bundling).toMatch(/longer than 2000 ms/);
    } finally {
      delete process.env.STEPWELL_SPEC_SECRET;
    }
    await until(() => newOnes().length === 0);
  });

  async function bundle(source: string, timeoutMs?: number): Promise<string> {
    await writeFiles(dir, { 'src/index.ts': source });
    const entry = './src/index.ts';
    return bundleSources({ dir, entry, ...(timeoutMs === undefined ? {} : { timeoutMs }) });
  }

  async function expectRefusal(source: string): Promise<void> {
    const message = await messageOf(bundle(source));
    expect(message).toMatch(/the sources make no bundle/);
    expect(message).not.toContain(SECRET);
    // What the source itself spells is no news to its author.
    if (!source.includes(root)) expect(message).not.toContain(root);
  }
});

/** Processes below this one, the bundler and its bundler. */
function descendants(parent = process.pid): number[] {
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && parentOf(name) === parent)
    .map(Number);
  return children.flatMap((pid) => [pid, ...descendants(pid)]);
}

function parentOf(pid: string): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return 0;
  }
}

function readEnvironment(pid: number): string {
  try {
    return readFileSync(`/proc/${String(pid)}/environ`, 'latin1');
  } catch {
    return '';
  }
}

async function untilTwo(read: () => string[]): Promise<string[]> {
  let found: string[] = [];
  await until(() => (found = read()).length >= 2);
  return found;
}

async function until(isSo: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!isSo()) {
    if (Date.now() > deadline) throw new Error('it never came to be');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function messageOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    (value) => `was not refused: ${String(value)}`,
    (error: unknown) => String(error),
  );
}

async function writeFiles(dir: string, files: Record<string, string>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(dir, name)), { recursive: true });
    await writeFile(join(dir, name), text);
  }
}
