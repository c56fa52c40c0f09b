import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { findMissingPeers } from './optional-peers.js';

describe('what the CLI needs beside it', () => {
  let dir: string;

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'stepwell-peers-'));
  });

  afterEach(() => rm(dir, { recursive: true }));

  it.each([
    [[], 'stepwell-plugin needs esbuild and isolated-vm: run "npm i -D esbuild isolated-vm"'],
    [['esbuild'], 'stepwell-plugin needs isolated-vm: run "npm i -D esbuild isolated-vm"'],
    [['esbuild', 'isolated-vm'], null],
  ])('with %j there, says how to install the rest', async (installed, said) => {
    for (const name of installed) await install(name);
    expect(findMissingPeers(join(dir, 'main.js'))).toBe(said);
  });

  async function install(name: string): Promise<void> {
    await mkdir(join(dir, 'node_modules', name), { recursive: true });
    await writeFile(join(dir, 'node_modules', name, 'package.json'), '{}');
  }
});
