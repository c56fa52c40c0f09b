import { spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';

import { json, startCountingServer, type CountingServer } from '../support/counting-server.js';
import { eventually } from '../support/eventually.js';
import { startOpenAiServer } from '../support/openai-server.js';
import { startSlackServer } from '../support/slack-server.js';
import { runStepwell, STEPWELL_BIN } from '../support/run-stepwell.js';
import {
  isRunning,
  makeHome,
  postmasterPid,
  removeHome,
  ROOT,
  startHostProcess,
  type HostProcess,
} from '../support/host-process.js';

describe('stepwell run', () => {
  let service: CountingServer;
  let openai: CountingServer;
  let slack: CountingServer;
  let home: string;
  let host: HostProcess;

  beforeAll(async () => {
    openai = await startOpenAiServer('sk-example-key');
    slack = await startSlackServer('xoxb-example-token');
    service = await startCountingServer(async ({ url, body }, response) => {
      if (url.includes('nothing')) json(response, 404, {});
      else if (url === '/notify') {
        json(response, 200, {});
        await approve(body);
      } else json(response, 200, { full_name: 'stepwell/stepwell', stargazers_count: 7 });
    });
    home = makeHome();
    const ports = [service, openai, slack].map(({ port }) => `127.0.0.1:${String(port)}`);
    host = await startHostProcess(home, { STEPWELL_EGRESS_ALLOW: ports.join(',') });
    const stored: Record<string, object> = {
      openai: { api_key: 'sk-example-key', base_url: `${openai.url}/v1` },
      slack: { bot_token: 'xoxb-example-token', base_url: `${slack.url}/api` },
    };
    for (const [provider, credentials] of Object.entries(stored)) {
      const path = `/api/provider-credentials/${provider}`;
      const { status, body } = await host.send('POST', path, { credentials });
      expect([status, body.detail]).toEqual([200, undefined]);
      const test = await host.send('POST', `/api/provider-credentials/${String(body.id)}/test`);
      expect(test.body).toMatchObject({ success: true, status: 200 });
    }
  });

  afterAll(async () => {
    await host.stop();
    await Promise.all([service.close(), openai.close(), slack.close()]);
    await removeHome(home);
  });

  /** Every example, with the input that it needs here, what it gives, and what it leaves out. */
  const EXAMPLES: Record<
    string,
    { input: () => object; output: unknown; skipped?: readonly string[] }
  > = {
    'approval.json': {
      input: () => ({ notify_url: `${service.url}/notify` }),
      output: 'shipped: looks good',
      skipped: ['refused'],
    },
    'hello.json': {
      input: () => ({ name: 'Ada' }),
      output: { text: 'Hello, Ada!', from: 'Stepwell' },
    },
    'for-each.json': {
      input: () => ({ api: service.url, repository: 'nobody/nothing' }),
      output: [
        '0: stepwell/stepwell, 7 stars',
        '1: stepwell/stepwell, 7 stars',
        '2: not found, 0 stars',
      ],
    },
    'http-fetch.json': {
      input: () => ({ url: service.url }),
      output: 'stepwell/stepwell has 7 stars',
    },
    'openai-to-slack.json': {
      input: () => ({ topic: 'what is a stepwell?' }),
      output: {
        ok: true,
        channel: 'C123',
        ts: '1700000000.000100',
        message: {
          type: 'message',
          user: 'U1',
          ts: '1700000000.000100',
          text: 'You said: user: Say in one sentence, without any preamble: what is a stepwell? (12 tokens)',
        },
      },
    },
  };

  it.each(readdirSync(join(ROOT, 'examples')).filter((name) => name.endsWith('.json')))(
    'runs examples/%s',
    async (name) => {
      const example = EXAMPLES[name];
      if (!example) throw new Error(`say in this test what examples/${name} gives`);
      const run = await runStepwell(home, [
        'run',
        `examples/${name}`,
        '--input',
        JSON.stringify(example.input()),
      ]);
      expect(run).toMatchObject({ code: 0, stderr: '' });
      const { steps } = JSON.parse(readFileSync(join(ROOT, 'examples', name), 'utf8')) as {
        steps: { id: string }[];
      };
      for (const { id } of steps) {
        const line = example.skipped?.includes(id)
          ? `- ${id}\\s+\\w+\\.\\w+\\s+skipped`
          : `✓ ${id}\\s+\\w+\\.\\w+\\s+\\d+ ms`;
        expect(run.stdout).toMatch(new RegExp(line));
      }
      expect(run.stdout).toMatch(/^success in \d+ ms/m);
      const whole = await runStepwell(home, [
        'run',
        `examples/${name}`,
        '--json',
        '--input',
        JSON.stringify(example.input()),
      ]);
      expect(JSON.parse(whole.stdout)).toMatchObject({ status: 'success', output: example.output });
    },
  );

  it('exits with 1 when the plan fails, and says where and why', async () => {
    const run = await runStepwell(home, [
      'run',
      'examples/http-fetch.json',
      '--input',
      '{"url": "http://127.0.0.1:9/"}',
    ]);
    expect(run.code).toBe(1);
    expect(run.stdout).toMatch(
      /✗ fetch\s+http\.request\s+\d+ ms\s+egress\.denied: 127\.0\.0\.1 is a private address/,
    );
    expect(run.stdout).toMatch(/^error in/m);
  });

  it.each([
    [['run', 'no-such-file.json'], /no-such-file\.json/],
    [['run', 'README.md'], /README\.md is not JSON/],
    [['run', 'examples/hello.json', '--input', '{'], /--input is not JSON/],
    [['run'], /missing required argument 'file'/],
    [['fly'], /unknown command 'fly'/],
  ])('says what is wrong with %j', async (args, reason) => {
    const run = await runStepwell(home, args);
    expect(run.code).toBe(1);
    expect(run.stderr).toMatch(reason);
  });

  it('shows every problem of a plan with its place', async () => {
    const run = await runStepwell(home, ['run', 'package.json']);
    expect(run.code).toBe(1);
    expect(run.stderr).toMatch(/\/plan\/steps: must be a list of at least one step/);
  });
});

/** Whoever reads the message opens its link, and agrees. */
async function approve(message: string): Promise<void> {
  const [link] = /http:\S+\/api\/waits\/[\w-]+/.exec(message) ?? [];
  if (link === undefined) throw new Error(`no link in ${message}`);
  const answer = await fetch(link, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ approved: true, comment: 'looks good' }),
  });
  expect(answer.status).toBe(200);
}

describe('stepwell run with no host', () => {
  const home = makeHome('home of nobody');

  afterEach(async () => {
    await removeHome(home);
  });

  it('takes it down also when it is interrupted while the host comes up', async () => {
    const plan = join(ROOT, 'examples', 'hello.json');
    const cli = spawn(process.execPath, [STEPWELL_BIN, 'run', plan], {
      cwd: ROOT,
      env: { PATH: process.env['PATH'], STEPWELL_HOME: home },
      stdio: 'ignore',
    });
    await eventually('PostgreSQL', () => postmasterPid(home), 60_000);
    const postgres = postmasterPid(home) ?? 0;
    cli.kill('SIGTERM');
    await eventually('the end of the command', () => cli.exitCode !== null, 30_000);
    expect(cli.exitCode).toBe(1);
    expect(isRunning(postgres)).toBe(false);
  });

  it('brings one up on the same home and takes it down after', async () => {
    mkdirSync(join(home, '..'), { recursive: true });
    const plan = join(home, '..', 'my plan.json');
    copyFileSync(join(ROOT, 'examples', 'hello.json'), plan);
    const run = await runStepwell(home, ['run', plan]);
    expect(run).toMatchObject({ code: 0, stderr: '' });
    expect(run.stdout).toContain('Hello, world!');
    expect(postmasterPid(home)).toBeNull();
    const again = await runStepwell(home, ['run', plan], {
      env: { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none' },
    });
    expect(again.code).toBe(1);
    expect(again.stderr).toMatch(/^stepwell: DATABASE_URL needs STEPWELL_ENCRYPTION_KEY/);
  });
});
