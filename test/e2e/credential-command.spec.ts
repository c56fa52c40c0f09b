import { afterAll, beforeAll, expect, it } from '@jest/globals';

import type { CountingServer } from '../support/counting-server.js';
import {
  makeHome,
  removeHome,
  startHostProcess,
  type HostProcess,
} from '../support/host-process.js';
import { startOpenAiServer } from '../support/openai-server.js';
import { runStepwell, type Outcome } from '../support/run-stepwell.js';

const KEY = 'sk-of-the-command-line';

let home: string;
let host: HostProcess;
let openai: CountingServer;

beforeAll(async () => {
  openai = await startOpenAiServer(KEY);
  home = makeHome();
  host = await startHostProcess(home, {
    STEPWELL_EGRESS_ALLOW: `127.0.0.1:${String(openai.port)}`,
  });
});

afterAll(async () => {
  await host.stop();
  await openai.close();
  await removeHome(home);
});

async function credential(args: string[], stdin = ''): Promise<Outcome> {
  return await runStepwell(home, ['credential', ...args], { stdin });
}

it('stores a secret from a pipe, tries it, lists it masked, and deletes it', async () => {
  const baseUrl = `${openai.url}/v1`;
  const wrong = await credential(
    ['set', 'openai', '-f', `base_url=${baseUrl}`],
    'sk-wrong-secret\n',
  );
  expect(wrong).toMatchObject({ code: 0, stderr: '' });
  expect(await credential(['test', 'openai'])).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/^it does not work: .*401/),
  });

  const json = JSON.stringify({ api_key: KEY, base_url: baseUrl });
  expect(await credential(['set', 'openai', '--json', '--scope', 'tenant'], json)).toEqual({
    code: 0,
    stdout: `stored "default" for openai, to be used by all members: base_url ${baseUrl}, api_key sk-o***ine; sent to ${openai.url} only\n`,
    stderr: '',
  });
  expect(await credential(['test', 'openai', '--scope', 'tenant'])).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^it works \(\d+ ms\)$/m),
  });

  const { stdout: list } = await credential(['list']);
  expect(list).toMatch(/^PROVIDER +NAME +SCOPE +FIELDS +EXPIRES$/m);
  expect(list).toMatch(/^openai +default +tenant +base_url=\S+ api_key=sk-o\*\*\*ine$/m);
  expect(list).not.toContain(KEY);

  for (const scope of ['tenant', 'user']) {
    const deleted = await credential(['delete', 'openai', '--scope', scope]);
    expect(deleted).toEqual({ code: 0, stdout: 'deleted "default" of openai\n', stderr: '' });
  }
  expect((await credential(['list'])).stdout).toMatch(/^no credentials are stored/);
});

it.each([
  [['set', 'opanai'], /^stepwell: there is no provider "opanai"/],
  [['set', 'logic'], /^stepwell: the provider "logic" takes no credentials/],
  [['set', 'openai', '--type', 'oauth'], /^stepwell: --type must be one of openai/],
  [['set', 'openai', '-f', 'api_key=sk-secret'], /^stepwell: "api_key" is secret and stays out/],
  [['set', 'openai', '--name', '../x'], /\/name: name must begin and end with a letter/],
  [['test', 'openai', '--name', 'nobody'], /^stepwell: there is no credential "nobody"/],
  [['delete', 'openai'], /^stepwell: there is no credential "default" of your own/],
])('credential %j says what is wrong', async (args, reason) => {
  const outcome = await credential(args, 'sk-secret-of-a-pipe');
  expect(outcome).toMatchObject({ code: 1, stdout: '' });
  expect(outcome.stderr).toMatch(reason);
  expect(outcome.stderr).not.toContain('sk-secret');
});
