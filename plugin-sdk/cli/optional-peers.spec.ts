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

  it('says how to install what is missing', async () => {
    const from = join(dir, 'main.js');
    expect(findMissingPeers(from)).toBe(
      'stepwell-plugin needs esbuild and isolated-vm: run "npm i -D esbuild isolated-vm"',
    );
    await install('esbuild');
    expect(findMissingPeers(from)).toMatch(/needs isolated-vm: run/);
    await install('isolated-vm');
    expect(findMissingPeers(from)).toBeNull();
  });

  async function install(name: string): Promise<void> {
    await mkdir(join(dir, 'node_modules', name), { recursive: true });
    await writeFile(join(dir, 'node_modules', name, 'package.json'), '{}');
  }
});
