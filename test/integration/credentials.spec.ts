import { randomUUID } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { CredentialManifest } from '@stepwell/plugin-sdk';
import pg from 'pg';

import { CredentialResolver } from '../../src/credentials/credential-resolver.js';
import { CredentialsService } from '../../src/credentials/credentials.service.js';
import { addMember, ctxOf, type Member } from '../support/members.js';
import { storePlugin } from '../support/stored-plugin.js';
import { cloneDatabase } from '../support/test-database.js';
import { startTestHost, type Answer, type TestHost } from '../support/test-host.js';

const API: CredentialManifest = {
  id: 'api',
  kind: 'custom',
  fields: [
    { name: 'api_key', secret: true, required: true },
    { name: 'signing', secret: true, required: false },
    {
      name: 'base_url',
      secret: false,
      required: false,
      default: 'https://api.acme.example/v1',
      format: 'url',
    },
  ],
  hosts: [{ fromField: 'base_url' }],
  inject: { headers: { authorization: 'Bearer {{secret.api_key}}' } },
};
const PAIR: CredentialManifest = {
  id: 'pair',
  kind: 'basic',
  fields: [
    { name: 'username', secret: false, required: true },
    { name: 'password', secret: true, required: true },
  ],
  hosts: ['login.acme.example'],
  inject: { basic: { username: '{{credential.username}}', password: '{{secret.password}}' } },
};
const SECRET = 'sk-1234567890';
const MASK = 'sk-1***890';
const ACME = '/api/provider-credentials/acme';

describe('credentials', () => {
  let host: TestHost;
  let superuser: pg.Client;
  let app: pg.Client;
  let admin: Member;
  let alice: Member;
  let bob: Member;
  let viewer: Member;
  let stranger: Member;

  beforeAll(async () => {
    const database = await cloneDatabase();
    await storePlugin(database, { id: 'acme', credentials: [API, PAIR] });
    await storePlugin(database, { id: 'plain' });
    await storePlugin(database, { id: 'off', credentials: [API], origin: 'operator' });
    host = await startTestHost({ database });
    await host.createTenant('b');
    admin = await addMember(database, 'default', 'admin');
    alice = await addMember(database, 'default', 'user');
    bob = await addMember(database, 'default', 'user');
    viewer = await addMember(database, 'default', 'viewer');
    stranger = await addMember(database, 'b', 'admin');
    superuser = new pg.Client({ connectionString: database.adminUrl });
    app = new pg.Client({ connectionString: database.appUrl });
    await superuser.connect();
    await app.connect();
  });

  afterAll(async () => {
    await app.end();
    await superuser.end();
    await host.close();
    await host.database.drop();
  });

  it('are stored whole, shown masked, and replaced under the same id', async () => {
    const made = await store(alice, { credentials: { api_key: SECRET, signing: 'short' } });
    expect(made).toMatchObject({ status: 200 });
    expect(made.body).toEqual({
      id: expect.any(String),
      provider: 'acme',
      type: 'api',
      name: 'default',
      scope: 'user',
      owner_id: alice.userId,
      credentials: { api_key: MASK, signing: '***', base_url: 'https://api.acme.example/v1' },
      hosts: ['api.acme.example'],
      expires_at: null,
      is_expired: false,
      created_at: expect.any(String),
      updated_at: expect.any(String),
    });
    const replaced = await host.send({
      method: 'PUT',
      path: ACME,
      key: alice.key,
      body: { credentials: { api_key: 'other-key-0000', base_url: 'http://127.0.0.1:9000/v1' } },
    });
    expect(replaced.body).toMatchObject({
      id: made.body.id,
      hosts: ['http://127.0.0.1:9000'],
      created_at: made.body.created_at,
    });
    // Nothing of the old one goes to the new hosts.
    expect(replaced.body.credentials).toEqual({
      api_key: 'othe***000',
      base_url: 'http://127.0.0.1:9000/v1',
    });
    expect(await open(alice, 'default')).toEqual({ api_key: 'other-key-0000' });
    expect((await get(alice)).body).toEqual(replaced.body);
    const { rows } = await superuser.query(
      `select action, actor_id, user_id, subject_type, outcome, details from audit_log
        where subject_id = $1 order by id`,
      [made.body.id],
    );
    const by = { actor_id: alice.userId, user_id: alice.userId };
    const what = { subject_type: 'credential', outcome: 'success' };
    const details = { provider: 'acme', type: 'api', name: 'default', scope: 'user' };
    expect(rows).toEqual([
      {
        action: 'credential.created',
        ...by,
        ...what,
        details: { ...details, hosts: ['api.acme.example'] },
      },
      {
        action: 'credential.replaced',
        ...by,
        ...what,
        details: { ...details, hosts: ['http://127.0.0.1:9000'] },
      },
    ]);
  });

  it('leave no trace of a secret in the database', async () => {
    const secret = 'Zx9-needle-in-no-haystack';
    await store(alice, { name: 'needle', credentials: { api_key: secret } });
    const { rows: tables } = await superuser.query<{ name: string }>(
      `select tablename as name from pg_tables where schemaname = 'public'`,
    );
    const forms = ['utf8', 'base64', 'hex'] as const;
    for (const { name } of tables) {
      const { rows } = await superuser.query<{ row: string }>(
        `select t::text as row from ${name} t`,
      );
      const text = rows.map(({ row }) => row).join('\n');
      for (const form of forms) expect(text).not.toContain(Buffer.from(secret).toString(form));
    }
    expect(await open(alice, 'needle')).toEqual({ api_key: secret });
  });

  it('refuse what the type does not take, and say so without the value', async () => {
    const answer = await store(alice, {
      credentials: { api_key: 'se\ncret', base_url: 'secret', more: 'secret' },
      name: randomUUID(),
    });
    expect(answer.body.errors).toEqual([
      { pointer: '/name', detail: expect.stringContaining('must not look like an id') },
    ]);
    const fields = await store(alice, {
      credentials: { api_key: 'se\ncret', base_url: 'secret', more: 'secret' },
      expires_at: '2020-01-01T00:00:00Z',
    });
    expect(fields).toMatchObject({ status: 400, body: { code: 'request.invalid' } });
    expect(fields.body.errors.map(({ pointer }: { pointer: string }) => pointer)).toEqual([
      '/credentials/more',
      '/credentials/api_key',
      '/credentials/base_url',
      '/expires_at',
    ]);
    expect(JSON.stringify(fields.body)).not.toMatch(/se\\*n?cret/);
  });

  it.each([
    ['nothing', {}, '/credentials'],
    ['a list', { credentials: ['x'] }, '/credentials'],
    ['an unknown type', { credentials: { api_key: 'x' }, type: 'none' }, '/type'],
    ['a name of spaces', { credentials: { api_key: 'x' }, name: ' ' }, '/name'],
    ['another scope', { credentials: { api_key: 'x' }, scope: 'all' }, '/scope'],
    ['no time', { credentials: { api_key: 'x' }, expires_at: 'soon' }, '/expires_at'],
  ])('refuse %s', async (_, body, pointer) => {
    const answer = await store(alice, body);
    expect([answer.status, answer.body.errors?.[0]?.pointer]).toEqual([400, pointer]);
  });

  it('are stored for providers that the tenant may use', async () => {
    const body = { credentials: { api_key: SECRET } };
    for (const [provider, status] of [
      ['nobody', 404],
      ['off', 404],
      ['plain', 400],
    ] as const) {
      const path = `/api/provider-credentials/${provider}`;
      const answer = await host.send({ method: 'POST', path, key: alice.key, body });
      expect([provider, answer.status]).toEqual([provider, status]);
    }
  });

  it('need the permission to write, and an admin when the tenant shares them', async () => {
    const credentials = { username: 'u', password: 'shared-password' };
    const shared = { name: 'shared', type: 'pair', scope: 'tenant', credentials };
    expect(await store(viewer, { credentials })).toMatchObject({ status: 403 });
    expect(await store(alice, shared)).toMatchObject({
      status: 403,
      body: { code: 'auth.forbidden' },
    });
    const made = await store(admin, shared);
    expect(made).toMatchObject({ status: 200, body: { scope: 'tenant', owner_id: admin.userId } });
    for (const member of [alice, viewer]) {
      expect((await get(member, '?name=shared')).body).toEqual(made.body);
    }
    expect(await open(bob, 'shared')).toEqual({ password: 'shared-password' });
    expect(await remove(alice, '?name=shared&scope=tenant')).toMatchObject({ status: 403 });
    // Another admin may replace it; it stays whose it was.
    expect((await store({ key: host.operatorKey }, shared)).body).toMatchObject({
      id: made.body.id,
      owner_id: admin.userId,
    });
  });

  it('show an own one before the shared one, and delete the own one', async () => {
    const credentials = { api_key: SECRET };
    await store(admin, { name: 'both', scope: 'tenant', credentials });
    await store(alice, { name: 'both', credentials });
    expect((await get(alice, '?name=both')).body.scope).toBe('user');
    expect((await get(alice, '?name=both&scope=tenant')).body.scope).toBe('tenant');
    expect((await get(bob, '?name=both')).body.scope).toBe('tenant');
    expect(await remove(alice, '?name=both')).toMatchObject({
      status: 200,
      body: { success: true },
    });
    expect((await get(alice, '?name=both')).body.scope).toBe('tenant');
    expect(await remove(alice, '?name=both')).toMatchObject({ status: 404 });
    expect(await remove(admin, '?name=both')).toMatchObject({ status: 404 });
    expect(await remove(admin, '?name=both&scope=tenant')).toMatchObject({ status: 200 });
    expect(await get(bob, '?name=both')).toMatchObject({ status: 404 });
  });

  it('are private: neither members nor admins nor other tenants see one', async () => {
    const made = await store(alice, { name: 'private', credentials: { api_key: SECRET } });
    for (const member of [bob, admin, viewer, stranger]) {
      expect(await get(member, '?name=private')).toMatchObject({ status: 404 });
      const list = await host.send({
        path: '/api/provider-credentials?limit=200',
        key: member.key,
      });
      expect(JSON.stringify(list.body)).not.toContain(made.body.id);
      const resolved = await resolver().resolve(member, need({ ref: made.body.id as string }));
      expect(resolved).toMatchObject({ kind: 'failed', code: 'credential.missing' });
      expect(await resolver().findBindable(member, [made.body.id as string])).toEqual(new Map());
    }
    expect((await resolver().findBindable(alice, [made.body.id as string, 'no-id'])).size).toBe(1);
  });

  it('are listed by page and provider', async () => {
    const all = (
      await host.send({ path: '/api/provider-credentials?provider=acme', key: alice.key })
    ).body.credentials as { id: string }[];
    expect(all.length).toBeGreaterThan(3);
    const first = await host.send({ path: '/api/provider-credentials?limit=2', key: alice.key });
    const second = await host.send({
      path: `/api/provider-credentials?limit=200&cursor=${String(first.body.next_cursor)}`,
      key: alice.key,
    });
    expect([...first.body.credentials, ...second.body.credentials]).toEqual(all);
    expect(second.body.next_cursor).toBeNull();
    const none = await host.send({ path: '/api/provider-credentials?provider=x', key: alice.key });
    expect(none.body).toEqual({ credentials: [], next_cursor: null });
  });

  it('are stored by an admin who acts for a member, as the member', async () => {
    const ctx = { ...ctxOf(alice), actorId: admin.userId };
    const view = await host.app
      .get(CredentialsService)
      .storeCredential(ctx, 'acme', { name: 'acted', credentials: { api_key: SECRET } });
    expect(view.owner_id).toBe(alice.userId);
    expect(await get(admin, '?name=acted')).toMatchObject({ status: 404 });
    const { rows } = await superuser.query(
      'select actor_id, user_id from audit_log where subject_id = $1',
      [view.id],
    );
    expect(rows).toEqual([{ actor_id: admin.userId, user_id: alice.userId }]);
  });

  it('are made once by many who store the same name at once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        store(bob, { name: 'raced', credentials: { api_key: `race-key-${String(i)}-xx` } }),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(200));
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
    expect(await open(bob, 'raced')).toEqual({
      api_key: expect.stringMatching(/^race-key-\d-xx$/),
    });
  });

  describe('as the engine finds them', () => {
    it("takes the own default, then the tenant's, then says what to do", async () => {
      const carol = await addMember(host.database, 'default', 'user');
      expect(await resolver().resolve(carol, need({ isOptional: true }))).toEqual({ kind: 'none' });
      expect(await resolver().resolve(carol, need({}))).toEqual({
        kind: 'failed',
        code: 'credential.missing',
        message:
          'there is no credential "default" for "acme"; store one with "stepwell credential set acme" or POST /api/provider-credentials/acme',
      });
      await store(admin, { scope: 'tenant', credentials: { api_key: SECRET } });
      expect(await resolver().resolve(carol, need({}))).toMatchObject({
        kind: 'found',
        credential: { scope: 'tenant', fields: { base_url: 'https://api.acme.example/v1' } },
      });
      await store(carol, { credentials: { api_key: 'carols-own-key' } });
      const own = await resolver().resolve(carol, need({ ref: null }));
      expect(own).toMatchObject({
        credential: { scope: 'user', egress: { hosts: ['api.acme.example'], inject: API.inject } },
      });
      expect(await open(carol, null)).toEqual({ api_key: 'carols-own-key' });
      await remove(admin, '?scope=tenant');
    });

    it('never takes one that is missing, of another type or expired for none', async () => {
      const dave = await addMember(host.database, 'default', 'user');
      const optional = { isOptional: true };
      expect(await resolver().resolve(dave, need({ ...optional, ref: 'by name' }))).toMatchObject({
        code: 'credential.missing',
      });
      await store(dave, { type: 'pair', credentials: { username: 'u', password: 'p' } });
      expect(await resolver().resolve(dave, need(optional))).toMatchObject({
        code: 'credential.missing',
        message: expect.stringContaining('is of type "pair" for "acme"'),
      });
      const expires_at = new Date(Date.now() + 3_600_000).toISOString();
      const made = await store(dave, { credentials: { api_key: SECRET }, expires_at });
      expect(made.body).toMatchObject({ expires_at, is_expired: false });
      expect(await resolver().resolve(dave, need(optional))).toMatchObject({ kind: 'found' });
      await superuser.query(
        `update credentials set expires_at = now() - interval '1 s' where id = $1`,
        [made.body.id],
      );
      expect(await resolver().resolve(dave, need(optional))).toMatchObject({
        code: 'credential.expired',
        message: expect.stringContaining('store one with'),
      });
      expect((await get(dave)).body.is_expired).toBe(true);
    });

    it('finds by id what a provider of another name does not get', async () => {
      const made = await store(alice, { name: 'by-id', credentials: { api_key: SECRET } });
      const ref = (made.body.id as string).toUpperCase();
      expect(await resolver().resolve(alice, need({ ref }))).toMatchObject({ kind: 'found' });
      expect(await resolver().resolve(alice, need({ ref, provider: 'other' }))).toMatchObject({
        code: 'credential.missing',
        message: expect.stringContaining(
          'for "acme"; this step needs one of type "api" for "other"',
        ),
      });
    });
  });

  describe('as the app role, in SQL', () => {
    let mine: string;
    let shared: string;

    beforeAll(async () => {
      mine = (await store(alice, { name: 'sql', credentials: { api_key: SECRET } })).body
        .id as string;
      shared = (
        await store(admin, { name: 'sql', scope: 'tenant', credentials: { api_key: SECRET } })
      ).body.id as string;
    });

    it.each(['select 1 from', 'update', 'delete from'])(
      'shows to %s private ones to their owner alone',
      async (verb) => {
        const set = verb === 'update' ? `set expires_at = null` : '';
        const sql = `${verb} credentials ${set} where id = '${mine}'`;
        expect(await as(alice, sql)).toBe(1);
        for (const member of [admin, bob, stranger]) expect(await as(member, sql)).toBe(0);
      },
    );

    it('lets members read shared ones and admins alone change them', async () => {
      const read = `select 1 from credentials where id = '${shared}'`;
      for (const member of [admin, alice, viewer]) expect(await as(member, read)).toBe(1);
      expect(await as(stranger, read)).toBe(0);
      for (const change of ['update credentials set hosts = hosts', 'delete from credentials']) {
        const sql = `${change} where id = '${shared}'`;
        expect(await as(alice, sql)).toBe(0);
        expect(await as(admin, sql)).toBe(1);
      }
    });

    it.each(['tenant_id', 'id', 'provider', 'name', 'scope', 'owner_id'])(
      "changes no row's %s",
      async (column) => {
        const sql = `update credentials set ${column} = ${column} where id = '${mine}'`;
        await expect(as(alice, sql)).rejects.toThrow(/permission denied/);
      },
    );

    it('makes none for somebody else, for another tenant, or for all without an admin', async () => {
      const insert = (tenant: string, owner: string, scope: string): string =>
        `insert into credentials (tenant_id, id, provider, type, name, scope, owner_id, fields, secrets, masked, hosts, key_version)
         values ('${tenant}', gen_random_uuid(), 'acme', 'api', 'sql made', '${scope}', '${owner}', '{}', '{}', '{}', '{}', 1)`;
      expect(await as(alice, insert(alice.tenantId, alice.userId, 'user'))).toBe(1);
      expect(await as(admin, insert(admin.tenantId, admin.userId, 'tenant'))).toBe(1);
      for (const [member, sql] of [
        [alice, insert(alice.tenantId, bob.userId, 'user')],
        [admin, insert(alice.tenantId, alice.userId, 'user')],
        [admin, insert(alice.tenantId, alice.userId, 'tenant')],
        [alice, insert(alice.tenantId, alice.userId, 'tenant')],
        [stranger, insert(alice.tenantId, stranger.userId, 'user')],
      ] as const) {
        await expect(as(member, sql)).rejects.toThrow(/row-level security/);
      }
    });
  });

  describe('bound by id in a saved plan', () => {
    let credential: string;

    beforeAll(async () => {
      credential = (await store(alice, { name: 'bound', credentials: { api_key: SECRET } })).body
        .id as string;
    });

    it('serve whoever runs a plan that is shared, as its author wrote it', async () => {
      const run = await insertRun({});
      expect(await bound(bob, run)).toEqual([credential]);
      const found = await resolver().resolve(
        bob,
        need({ ref: credential, execution: { id: run, stepId: 'ask' } }),
      );
      if (found.kind !== 'found') throw new Error(JSON.stringify(found));
      expect(found.credential).toMatchObject({ id: credential, name: 'bound', scope: 'user' });
      expect(await found.credential.egress.openSecrets()).toEqual({ api_key: SECRET });
      // Without the run, the id opens nothing.
      expect(await resolver().resolve(bob, need({ ref: credential }))).toMatchObject({
        message: expect.stringContaining('somebody else than its owner changed the plan'),
      });
    });

    it('know an id in capital letters, and an own plan that is private', async () => {
      expect(await bound(bob, await insertRun({ credential: credential.toUpperCase() }))).toEqual([
        credential,
      ]);
      const own = { planOwner: () => bob, visibility: 'private' };
      expect(await bound(bob, await insertRun(own))).toEqual([credential]);
    });

    it.each<[string, RunParts]>([
      ['another runs it', { runner: () => viewer }],
      ['the plan is private', { visibility: 'private' }],
      ['somebody else made this version', { author: () => admin }],
      ['the step names another', { credential: randomUUID() }],
      ['the step names it by its name', { credential: 'bound' }],
      ['another step names it', { step: 'tell' }],
      ['the run has no plan', { isInline: true }],
      ['the run walks another version', { runVersion: 2 }],
      ['the run has ended', { status: 'success' }],
      ['the run does something else with it', { runParams: { channel: 'mine' } }],
      ['the run walks it by other code', { runPin: 'sha256-other' }],
      ['the plan was deleted', { isDeleted: true }],
    ])('serve nobody when %s', async (_, parts) => {
      expect(await bound(bob, await insertRun(parts))).toEqual([]);
    });

    it('serve nobody any more when their owner was disabled', async () => {
      const run = await insertRun({});
      const disable = 'update users set disabled_at = $2 where id = $1';
      await superuser.query(disable, [alice.userId, new Date()]);
      try {
        expect(await bound(bob, run)).toEqual([]);
      } finally {
        await superuser.query(disable, [alice.userId, null]);
      }
      expect(await bound(bob, run)).toEqual([credential]);
    });

    it('serve no tenant admin who looks into a private plan, and no other tenant', async () => {
      const run = await insertRun({ runner: () => admin, visibility: 'private' });
      expect(await bound(admin, run)).toEqual([]);
      expect(await bound({ ...bob, tenantId: stranger.tenantId }, await insertRun({}))).toEqual([]);
      expect(
        (await app.query('select * from bound_credential($1, $2)', [run, 'ask'])).rows,
      ).toEqual([]);
    });

    interface RunParts {
      planOwner?: () => Member;
      author?: () => Member;
      runner?: () => Member;
      visibility?: string;
      credential?: string;
      step?: string;
      isInline?: boolean;
      runVersion?: number;
      status?: string;
      runParams?: object;
      runPin?: string;
      isDeleted?: boolean;
    }

    /** A run of a shared plan that Alice wrote and Bob runs, unless `parts` says otherwise. */
    async function insertRun(parts: RunParts): Promise<string> {
      const { planOwner = () => alice, author = () => alice, runner = () => bob } = parts;
      const { visibility = 'tenant', step = 'ask', isInline = false, runVersion = 1 } = parts;
      const plan = randomUUID();
      const run = randomUUID();
      await superuser.query(
        `insert into plans (tenant_id, id, owner_id, name, visibility, version, deleted_at) values ($1, $2, $3, 'p', $4, 2, $5)`,
        [
          alice.tenantId,
          plan,
          planOwner().userId,
          visibility,
          parts.isDeleted === true ? new Date() : null,
        ],
      );
      const steps = [
        { id: 'first', credential: 'default' },
        { id: step, credential: parts.credential ?? credential, params: {} },
      ];
      const pins = { [step]: { version: '1.0.0', digest: 'sha256-first' } };
      for (const [version, content] of [
        [1, steps],
        [2, []],
      ] as const) {
        await superuser.query(
          `insert into plan_versions (tenant_id, plan_id, version, steps, pins, created_by)
           values ($1, $2, $3, $4, $5, $6)`,
          [
            ...[alice.tenantId, plan, version],
            ...[JSON.stringify(content), JSON.stringify(pins), author().userId],
          ],
        );
      }
      await superuser.query(
        `insert into executions (tenant_id, id, plan_id, plan_version, definition, owner_id, visibility, status, trigger, input)
         values ($1, $2, $3, $4, $7, $5, 'private', $6, 'manual', '{}')`,
        [
          alice.tenantId,
          run,
          isInline ? null : plan,
          isInline ? null : runVersion,
          runner().userId,
          parts.status ?? 'running',
          JSON.stringify({
            steps: steps.map((one) =>
              one.id === step ? { ...one, params: parts.runParams ?? {} } : one,
            ),
            pins: { [step]: { version: '1.0.0', digest: parts.runPin ?? 'sha256-first' } },
          }),
        ],
      );
      return run;
    }

    async function bound(member: Member, run: string): Promise<string[]> {
      return await inTransaction(member, async () => {
        const { rows } = await app.query<{ id: string }>(
          `select id from bound_credential($1, 'ask')`,
          [run],
        );
        return rows.map(({ id }) => id);
      });
    }
  });

  function resolver(): CredentialResolver {
    return host.app.get(CredentialResolver, { strict: false });
  }

  function need(parts: {
    ref?: string | null;
    provider?: string;
    isOptional?: boolean;
    execution?: { id: string; stepId: string };
  }): Parameters<CredentialResolver['resolve']>[1] {
    return { provider: 'acme', type: API, ref: null, execution: null, isOptional: false, ...parts };
  }

  /** The clear secrets that egress would place. */
  async function open(member: Member, ref: string | null): Promise<Record<string, string>> {
    const type = ref === 'shared' ? PAIR : API;
    const found = await resolver().resolve(member, { ...need({ ref }), type });
    if (found.kind !== 'found') throw new Error(JSON.stringify(found));
    return await found.credential.egress.openSecrets();
  }

  async function store(member: Pick<Member, 'key'>, body: unknown): Promise<Answer> {
    return await host.send({ method: 'POST', path: ACME, key: member.key, body });
  }

  async function get(member: Member, query = ''): Promise<Answer> {
    return await host.send({ path: `${ACME}${query}`, key: member.key });
  }

  async function remove(member: Member, query = ''): Promise<Answer> {
    return await host.send({ method: 'DELETE', path: `${ACME}${query}`, key: member.key });
  }

  async function as(member: Member, sql: string): Promise<number | null> {
    return await inTransaction(member, async () => (await app.query(sql)).rowCount);
  }

  /** As withTenant would; rolled back. */
  async function inTransaction<T>(member: Member, work: () => Promise<T>): Promise<T> {
    await app.query('begin');
    try {
      await app.query(
        `select set_config('app.tenant_id', $1, true), set_config('app.user_id', $2, true), set_config('app.role', $3, true)`,
        [member.tenantId, member.userId, member.role],
      );
      return await work();
    } finally {
      await app.query('rollback');
    }
  }
});
