import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';

import { type CountingServer } from '../support/counting-server.js';
import {
  makeHome,
  postmasterPid,
  removeHome,
  ROOT,
  startHostProcess,
  type HostProcess,
} from '../support/host-process.js';
import { startOpenAiServer } from '../support/openai-server.js';
import { descendantsOf, writableMemory } from '../support/process-memory.js';
import { findForms } from '../support/secret-forms.js';

/** With all that URLs, JSON, HTML and base64 write in another way. */
const SECRET = `sk-/+="%&<${randomBytes(12).toString('base64')}>?`;
/** Travels through the same places and is no secret: proof that the search finds what is there. */
const MARKER = `marker-${randomBytes(12).toString('hex')}`;

describe('a stored secret', () => {
  let service: CountingServer;
  let home: string;
  let host: HostProcess;

  beforeAll(async () => {
    service = await startOpenAiServer(SECRET);
    home = makeHome();
    host = await startHostProcess(home, {
      STEPWELL_EGRESS_ALLOW: `127.0.0.1:${String(service.port)}`,
      STEPWELL_PLUGINS: join(ROOT, 'test', 'fixtures', 'plugins', 'vaulted'),
      LOG_LEVEL: 'trace',
    });
    const base = { base_url: `${service.url}/v1`, api_key: SECRET };
    for (const provider of ['openai', 'vaulted']) {
      const stored = await host.send('POST', `/api/provider-credentials/${provider}`, {
        credentials: base,
      });
      expect([stored.status, findForms(JSON.stringify(stored.body), SECRET)]).toEqual([200, []]);
    }
  });

  afterAll(async () => {
    await host.stop();
    await service.close();
    await removeHome(home);
  });

  const step = async (provider: string, action: string, params: object) =>
    await host.send('POST', '/api/execute-step', { step: { provider, action, params } });

  it('reaches the service as a bearer token, and comes back from nowhere', async () => {
    const { body } = await step('openai', 'chat_completion', {
      model: 'echo',
      prompt: `say ${MARKER}`,
    });
    expect(body).toMatchObject({ success: true, output: { finish_reason: 'stop' } });
    expect(service.seen.at(-1)).toMatchObject({
      method: 'POST',
      url: '/v1/chat/completions',
      headers: { authorization: `Bearer ${SECRET}`, 'content-type': 'application/json' },
    });
    // The service told it in six encodings; the plugin and its caller see none of them.
    expect(findForms(JSON.stringify(body), SECRET)).toEqual([]);
    expect((body.output.text as string).match(/\[redacted\]/g)?.length).toBeGreaterThanOrEqual(6);
  });

  it('is in no error, whoever wrote it', async () => {
    const down = await step('openai', 'chat_completion', { model: 'down', prompt: 'hi' });
    expect(down.body.error).toMatchObject({ code: 'provider.unavailable' });
    expect(down.body.error.message).toContain('[redacted]');
    const thrown = await step('vaulted', 'throw_with_config', { path: '/models' });
    expect(thrown.body).toMatchObject({ success: false });
    for (const { body } of [down, thrown])
      expect(findForms(JSON.stringify(body), SECRET)).toEqual([]);
  });

  it('is not in the isolate, nor in the memory of its process', async () => {
    const seen = await step('vaulted', 'echo_all', { marker: MARKER });
    expect(seen.body).toMatchObject({ success: true });
    expect(findForms(JSON.stringify(seen.body), SECRET)).toEqual([]);
    const called = await step('vaulted', 'call', { path: `/models?${MARKER}` });
    expect(called.body).toMatchObject({ success: true });

    const children = descendantsOf(host.child.pid ?? 0).filter(({ command }) =>
      command.includes('child.cjs'),
    );
    expect(children.length).toBeGreaterThan(0);
    const held = { marker: 0, secret: [] as string[] };
    for (const { pid } of children) {
      for (const piece of writableMemory(pid)) {
        if (piece.includes(MARKER)) held.marker++;
        held.secret.push(...findForms(piece, SECRET));
      }
    }
    expect(held.marker).toBeGreaterThan(0); // or the search would prove nothing
    expect(held.secret).toEqual([]);
  });

  it('is in no log of the host and in no row of the database', async () => {
    const logs = `${host.stdout()}${host.stderr()}`;
    expect(logs.length).toBeGreaterThan(1000);
    expect(findForms(logs, SECRET)).toEqual([]);

    const rows = await everyRow(home);
    expect(rows.filter((row) => row.text.includes(MARKER)).length).toBeGreaterThan(0);
    expect(rows.filter((row) => findForms(row.text, SECRET).length > 0)).toEqual([]);
  });

  it('is shown masked, and by no route in the clear', async () => {
    const { body } = await host.send('GET', '/api/provider-credentials/openai');
    expect(body.credentials).toEqual({
      base_url: `${service.url}/v1`,
      api_key: `${SECRET.slice(0, 4)}***${SECRET.slice(-3)}`,
    });
    for (const path of [
      '/api/provider-credentials',
      '/api/executions',
      '/api/execution-logs',
      '/api/audit-log',
      '/api/providers?detail=full',
    ]) {
      const answer = await host.send('GET', path);
      expect([path, answer.status]).toEqual([path, 200]);
      expect([path, findForms(JSON.stringify(answer.body), SECRET)]).toEqual([path, []]);
    }
  });
});

/** Each row of each table as text, bytea in hex as PostgreSQL writes it, read as the superuser. */
async function everyRow(home: string): Promise<{ table: string; text: string }[]> {
  const read = (path: string): string => readFileSync(join(home, 'postgres', path), 'utf8');
  const [, , , port] = read('data/postmaster.pid').split('\n');
  expect(postmasterPid(home)).not.toBeNull();
  const client = new pg.Client({
    host: '127.0.0.1',
    port: Number(port),
    user: 'postgres',
    password: read('password').trim(),
    database: 'stepwell',
  });
  await client.connect();
  try {
    const { rows: tables } = await client.query<{ name: string }>(
      `select tablename as name from pg_tables where schemaname = 'public'`,
    );
    const found: { table: string; text: string }[] = [];
    for (const { name } of tables) {
      const { rows } = await client.query<{ text: string }>(
        `select t::text as text from ${name} t`,
      );
      found.push(...rows.map(({ text }) => ({ table: name, text })));
    }
    return found;
  } finally {
    await client.end();
  }
}
