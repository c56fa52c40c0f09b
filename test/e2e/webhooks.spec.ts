import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import {
  makeHome,
  removeHome,
  ROOT,
  startHostProcess,
  type HostProcess,
} from '../support/host-process.js';

const run = promisify(execFile);

describe('a webhook', () => {
  let home: string;
  let host: HostProcess;

  beforeAll(async () => {
    home = makeHome('.stepwell');
    host = await startHostProcess(home);
  });

  afterAll(async () => {
    await host.stop();
    await removeHome(home);
  });

  it('does what the docs show with curl', async () => {
    const page = readFileSync(join(ROOT, 'docs', 'webhooks.md'), 'utf8');
    const commands = /```sh\n(.*?)```/s.exec(page)?.[1] ?? '';
    const [, ...promised] = /The last two answer `(".*?")` and `(".*?")`/.exec(page) ?? [];
    expect(promised).toHaveLength(2);
    const { stdout } = await run(
      'sh',
      ['-euc', commands.replace('http://127.0.0.1:5001', host.url)],
      { cwd: join(home, '..') },
    );
    expect(stdout.endsWith(promised.join(''))).toBe(true);
    expect(stdout).toContain(`"url":"${host.url}/api/webhook/greet"`);
  });
});
