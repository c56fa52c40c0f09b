import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { CredentialManifest } from '@stepwell/plugin-sdk';
import pg from 'pg';

import { CredentialResolver } from '../../src/credentials/credential-resolver.js';
import { CredentialSecrets } from '../../src/credentials/credential-secrets.js';
import { Resealing } from '../../src/credentials/resealing.js';
import { SecretBox } from '../../src/credentials/vault/secret-box.js';
import { TenantKeys } from '../../src/credentials/vault/tenant-keys.js';
import { Vault } from '../../src/credentials/vault/vault.js';
import { Database } from '../../src/database/database.js';
import { CredentialUnreadableError } from '../../src/egress/credential.js';
import { eventually } from '../support/eventually.js';
import { addMember, type Member } from '../support/members.js';
import { storePlugin } from '../support/stored-plugin.js';
import { cloneDatabase } from '../support/test-database.js';
import { startTestHost, type TestHost } from '../support/test-host.js';

const TYPE: CredentialManifest = {
  id: 'api',
  kind: 'custom',
  fields: [
    { name: 'api_key', secret: true, required: true },
    { name: 'signing', secret: true, required: false },
  ],
  hosts: ['api.acme.example'],
  inject: { headers: { 'x-api-key': '{{secret.api_key}}' } },
};
const PROVIDERS = ['acme', 'other'];
const ROTATE = '/api/admin/encryption-keys/rotate';

interface KeyRow {
  tenant_name: string;
  version: number;
  is_current: boolean;
  credentials: number;
}

describe('the vault', () => {
  let host: TestHost;
  let superuser: pg.Client;
  let alice: Member;
  let bob: Member;
  let stranger: Member;

  beforeAll(async () => {
    const database = await cloneDatabase();
    for (const id of PROVIDERS) await storePlugin(database, { id, credentials: [TYPE] });
    host = await startTestHost({ database });
    await host.createTenant('b');
    alice = await addMember(database, 'default', 'user');
    bob = await addMember(database, 'default', 'user');
    stranger = await addMember(database, 'b', 'admin');
    superuser = new pg.Client({ connectionString: database.adminUrl });
    await superuser.connect();
  });

  afterAll(async () => {
    await superuser.end();
    await host.close();
    await host.database.drop();
  });

  it("makes a tenant's key once, however many store a credential first", async () => {
    const tenant = 'fresh';
    await host.createTenant(tenant);
    const members = await Promise.all(
      Array.from({ length: 10 }, () => addMember(host.database, tenant, 'user')),
    );
    await Promise.all(members.map((member, i) => store(member, 'default', `secret-${String(i)}`)));
    expect(await keysOf(tenant)).toEqual([
      expect.objectContaining({ version: 1, is_current: true, credentials: 10 }),
    ]);
    for (const [i, member] of members.entries()) {
      expect(await open(member, 'default')).toEqual({ api_key: `secret-${String(i)}` });
    }
  });

  it('stores data keys wrapped, and nothing that the root key is', async () => {
    await store(alice, 'wrapped', 'a secret of Alice');
    const { rows } = await superuser.query<{ wrapped_key: Buffer; root_key_id: string }>(
      'select * from tenant_keys',
    );
    for (const { wrapped_key: wrapped, root_key_id: id } of rows) {
      expect(wrapped).toHaveLength(12 + 16 + 32);
      expect(id).toMatch(/^local-[0-9a-f]{16}$/);
      expect(wrapped.includes(host.database.rootKey)).toBe(false);
    }
  });

  it('opens secrets once, and again only after a failure that may pass', async () => {
    await store(alice, 'once', 'a secret');
    let asked = 0;
    let failure: Error | null = new Error('the database is away');
    const { database, secrets } = parts(host);
    const counting = Object.assign(Object.create(secrets) as CredentialSecrets, {
      open: async (...args: Parameters<CredentialSecrets['open']>) => {
        asked++;
        if (failure) throw failure;
        return await secrets.open(...args);
      },
    });
    const need = { provider: 'acme', type: TYPE, ref: 'once', execution: null, isOptional: false };
    const resolve = async (): Promise<() => Promise<unknown>> => {
      const found = await new CredentialResolver(database, counting).resolve(alice, need);
      if (found.kind !== 'found') throw new Error(JSON.stringify(found));
      return () => found.credential.egress.openSecrets();
    };
    const openSecrets = await resolve();
    expect(asked).toBe(0);
    await expect(openSecrets()).rejects.toThrow('the database is away');
    failure = null;
    const all = await Promise.all([openSecrets(), openSecrets()]);
    expect(all).toEqual([{ api_key: 'a secret' }, { api_key: 'a secret' }]);
    expect(asked).toBe(2);
    failure = new CredentialUnreadableError('moved');
    const never = await resolve();
    await expect(never()).rejects.toThrow('moved');
    await expect(never()).rejects.toThrow('moved');
    expect(asked).toBe(3);
  });

  describe('opens no ciphertext', () => {
    const MOVES: [string, string][] = [
      [
        'of another row of the same owner',
        `update credentials c set secrets = o.secrets from credentials o where c.id = $1 and o.id = $2`,
      ],
      [
        'of another field',
        `update credentials set secrets = jsonb_build_object('api_key', secrets->'signing', 'signing', secrets->'api_key')
          where id = $1 and $2::uuid is not null`,
      ],
      [
        'of another provider',
        `update credentials set provider = 'other' where id = $1 and $2::uuid is not null`,
      ],
      [
        'of another key version',
        `update credentials set key_version = (select max(version) from tenant_keys k where k.tenant_id = credentials.tenant_id)
          where id = $1 and $2::uuid is not null`,
      ],
      [
        'of a private one that is shared now',
        `update credentials set scope = 'tenant' where id = $1 and $2::uuid is not null`,
      ],
      [
        'of one that would go to other hosts',
        `update credentials set hosts = '{evil.example}' where id = $1 and $2::uuid is not null`,
      ],
      [
        'that is missing a part',
        `update credentials set secrets = secrets #- '{api_key,tag}' where id = $1 and $2::uuid is not null`,
      ],
      [
        'that is no ciphertext',
        `update credentials set secrets = jsonb_set(secrets, '{api_key}', 'null') where id = $1 and $2::uuid is not null`,
      ],
    ];
    let count = 0;

    it.each(MOVES)('%s, and the audit log says so', async (_, sql) => {
      const name = `moved-${String(++count)}`;
      const id = await store(alice, name, 'the secret of this row');
      const other = await store(alice, `${name}-other`, 'the secret of another row');
      expect(await open(alice, name)).toMatchObject({ api_key: 'the secret of this row' });
      // Where two versions are needed: the row stays under the first, a second one exists.
      await superuser.query(
        `insert into tenant_keys select tenant_id, 99, root_key_id, wrapped_key from tenant_keys
          where tenant_id = $1 and version = 1 on conflict do nothing`,
        [alice.tenantId],
      );
      await superuser.query(sql, [id, other]);
      await expect(open(alice, id)).rejects.toThrow(CredentialUnreadableError);
      expect(await unreadable(id)).toEqual([
        { actor_id: alice.userId, user_id: alice.userId, outcome: 'refused' },
      ]);
      await superuser.query('delete from credentials where id = any ($1)', [[id, other]]);
      await superuser.query('delete from tenant_keys where version = 99');
    });

    it('of another user or another tenant', async () => {
      const mine = await store(alice, 'walls', 'the secret of Alice');
      for (const member of [bob, stranger]) {
        const theirs = await store(member, 'walls', 'something of their own');
        await superuser.query(
          `update credentials c set secrets = o.secrets from credentials o where c.id = $1 and o.id = $2`,
          [theirs, mine],
        );
        await expect(open(member, 'walls')).rejects.toThrow(CredentialUnreadableError);
        expect(await unreadable(theirs)).toHaveLength(1);
      }
      await superuser.query(`delete from credentials where name = 'walls'`);
    });

    it("under a tenant's key that is another's", async () => {
      const tenant = 'key thief';
      await host.createTenant(tenant);
      const thief = await addMember(host.database, tenant, 'admin');
      const id = await store(alice, 'stolen', 'the secret of Alice');
      const row = `tenant_id, version, root_key_id, wrapped_key`;
      await superuser.query(
        `insert into tenant_keys (${row}) select $1, version, root_key_id, wrapped_key from tenant_keys
          where tenant_id = $2 and version = 1`,
        [thief.tenantId, alice.tenantId],
      );
      await superuser.query(
        `insert into credentials (tenant_id, id, provider, type, name, scope, owner_id, fields, secrets, masked, hosts, key_version)
         select $1, id, provider, type, name, scope, $2, fields, secrets, masked, hosts, key_version
           from credentials where id = $3`,
        [thief.tenantId, thief.userId, id],
      );
      await expect(open(thief, 'stolen')).rejects.toThrow(/the tenant's key can't be decrypted/);
      await superuser.query(`delete from credentials where name = 'stolen'`);
      await superuser.query('delete from tenant_keys where tenant_id = $1', [thief.tenantId]);
    });

    it('but would, were its place not bound to it', async () => {
      const unbound = new Vault(
        host.app.get(TenantKeys, { strict: false }),
        new SecretBox(() => Buffer.alloc(0)),
      );
      const key = await unbound.getSealingKey(alice);
      const place = { provider: 'acme', type: 'api', ownerId: alice.userId, hosts: ['a.example'] };
      const sealed = unbound.seal(key, { ...place, credentialId: 'c1' }, { api_key: 'secret' });
      const elsewhere = { ...place, credentialId: 'c2', ownerId: null, hosts: ['evil.example'] };
      expect(await unbound.open(alice, elsewhere, sealed)).toEqual({ api_key: 'secret' });
    });
  });

  describe('rotates keys', () => {
    it('for operators alone', async () => {
      for (const { key } of [alice, stranger]) {
        const answer = await host.send({ method: 'POST', path: ROTATE, key, body: {} });
        expect(answer.status).toBe(403);
        const list = await host.send({ path: '/api/admin/encryption-keys', key });
        expect(list.status).toBe(403);
      }
    });

    it('for operators alone also in SQL as the app role', async () => {
      await store(alice, 'walled', 'a secret');
      const operator = { tenantId: alice.tenantId, userId: await operatorId() };
      const asAdmin = async (who: typeof operator, sql: string): Promise<number | null> =>
        await host.app.get(Database).withTenant({ ...who, role: 'admin' }, async (tx) => {
          return (await tx.query<unknown[]>(sql)).length;
        });
      for (const sql of [
        'select * from list_encryption_keys()',
        'select * from list_key_holders(null)',
      ]) {
        expect(await asAdmin(operator, sql)).toBeGreaterThan(0);
        for (const member of [alice, stranger]) expect(await asAdmin(member, sql)).toBe(0);
        expect(await host.app.get(Database).query(sql)).toEqual([]);
      }
      // A version that nobody can unwrap would be the one that everything is sealed with.
      const garbage = `select add_tenant_key('${alice.tenantId}', 1000, 'local-x', 'x')`;
      for (const member of [alice, stranger]) {
        await expect(asAdmin(member, garbage)).rejects.toThrow(/only an operator/);
      }
    });

    it('of one tenant by name or id, and says so in the audit log', async () => {
      await store(stranger, 'rotated', 'a secret of b');
      const before = await keysOf('default');
      expect(await rotate({ tenant: 'b' })).toMatchObject([{ tenant_name: 'b', version: 2 }]);
      expect(await rotate({ tenant: stranger.tenantId })).toMatchObject([{ version: 3 }]);
      await settled('b');
      expect(await keysOf('default')).toEqual(before);
      expect(await open(stranger, 'rotated')).toEqual({ api_key: 'a secret of b' });
      const { rows } = await superuser.query<{ details: unknown }>(
        `select details from audit_log where action = 'encryption_key.rotated' and subject_id = $1 order by id`,
        [stranger.tenantId],
      );
      expect(rows.map(({ details }) => details)).toEqual([
        { tenant: 'b', version: 2, root_key_id: expect.any(String) },
        { tenant: 'b', version: 3, root_key_id: expect.any(String) },
      ]);
      const unknown = await host.send({ method: 'POST', path: ROTATE, body: { tenant: 'nobody' } });
      expect(unknown.status).toBe(404);
      await host.createTenant('empty');
      expect(await rotate({ tenant: 'empty' })).toEqual([]);
    });

    it('while a hundred others read and write', async () => {
      const names = Array.from({ length: 10 }, (_, i) => `busy-${String(i)}`);
      const valid = /^busy-\d+ in round \d+$/;
      await Promise.all(names.map((name) => store(alice, name, `${name} in round 0`)));
      const versionBefore = (await keysOf('default'))[0]?.version ?? 0;
      const work = Array.from({ length: 100 }, async (_, i) => {
        const name = names[i % names.length] ?? '';
        if (i % 2 === 0) await store(alice, name, `${name} in round ${String(i)}`);
        expect((await open(alice, name))['api_key']).toMatch(valid);
        if (i % 25 === 0) expect(await rotate({ tenant: 'default' })).toHaveLength(1);
      });
      await Promise.all(work);
      await settled('default');
      const [current, ...older] = await keysOf('default');
      expect(current?.version).toBeGreaterThan(versionBefore);
      expect(older.every(({ credentials }) => credentials === 0)).toBe(true);
      for (const name of names) {
        expect((await open(alice, name))['api_key']).toMatch(new RegExp(`^${name} in round \\d+$`));
      }
    });

    it('never lets a credential in under the old key, once there is a new one', async () => {
      await store(alice, 'late', 'a secret');
      const newest = ((await keysOf('default'))[0]?.version ?? 0) + 1;
      const wrapped = await host.app
        .get(TenantKeys, { strict: false })
        .makeWrapped(alice.tenantId, newest);
      const app = new pg.Client({ connectionString: host.database.appUrl });
      await app.connect();
      try {
        await app.query('begin');
        await app.query(
          `select set_config('app.tenant_id', $1, true), set_config('app.user_id', $2, true)`,
          [alice.tenantId, await operatorId()],
        );
        await app.query('select add_tenant_key($1, $2, $3, $4)', [
          ...[alice.tenantId, newest, wrapped.rootKeyId, wrapped.wrappedKey],
        ]);
        const storing = store(alice, 'late', 'a late secret');
        await eventually('the one who stores waiting', async () => {
          const waiting = `select 1 from pg_locks where locktype = 'advisory' and not granted`;
          return (await superuser.query(waiting)).rowCount === 1;
        });
        await app.query('commit');
        const id = await storing;
        const { rows } = await superuser.query<{ key_version: number }>(
          'select key_version from credentials where id = $1',
          [id],
        );
        expect(rows).toEqual([{ key_version: newest }]);
      } finally {
        await app.end();
      }
    });

    it('leaves alone what its owner replaced in between', async () => {
      await store(bob, 'replaced', 'the old secret');
      const vault = vaultThat({
        // After the old row was read, and before it is written.
        beforeSealing: async () => {
          await store(bob, 'replaced', 'the new secret');
        },
      });
      await pauseHost(host);
      await rotate({ tenant: 'default' });
      const { secrets, database } = parts(host);
      const late = new Resealing(database, vault, secrets);
      late.begin();
      await eventually('the row being under the new key', async () => {
        const rows = await keysOf('default');
        return rows.every(({ is_current, credentials }) => is_current || credentials === 0);
      });
      await late.beforeApplicationShutdown();
      expect(await open(bob, 'replaced')).toEqual({ api_key: 'the new secret' });
      const { rows } = await superuser.query<{ revision: number }>(
        `select revision from credentials where name = 'replaced'`,
      );
      expect(rows[0]?.revision).toBeGreaterThan(1);
    });

    it('goes on where a host that died had left it', async () => {
      const names = Array.from({ length: 20 }, (_, i) => `half-${String(i)}`);
      await Promise.all(names.map((name) => store(alice, name, `secret of ${name}`)));
      await rotate({ tenant: 'default' });
      let sealed = 0;
      const dying = vaultThat({
        beforeSealing: () => {
          if (++sealed > 7) throw new Error('the host dies here');
          return Promise.resolve();
        },
      });
      const { secrets, database } = parts(host);
      const halfway = new Resealing(database, dying, secrets);
      halfway.begin();
      await eventually('the end of that host', () => sealed > 7);
      await halfway.beforeApplicationShutdown();
      const [current, old] = await keysOf('default');
      expect(current?.credentials).toBe(7);
      expect(old?.credentials).toBeGreaterThan(12);
      for (const name of names) {
        expect(await open(alice, name)).toEqual({ api_key: `secret of ${name}` });
      }
      const another = await startTestHost({ database: host.database });
      try {
        await settled('default');
        for (const name of names) {
          expect(await open(alice, name, another)).toEqual({ api_key: `secret of ${name}` });
        }
      } finally {
        await another.close();
      }
    });

    it('passes over what is unreadable, tells the audit log, and does the rest', async () => {
      const broken = await store(alice, 'broken', 'a secret that is lost');
      await superuser.query(`update credentials set hosts = '{evil.example}' where id = $1`, [
        broken,
      ]);
      const other = await store(alice, 'broken-not', 'a secret that stays');
      const { vault, secrets, database } = parts(host);
      const resealing = new Resealing(database, vault, secrets);
      // The second time it is no news.
      for (let pass = 1; pass <= 2; pass++) {
        await rotate({ tenant: 'default' });
        resealing.begin();
        await eventually('all but one being under the new key', async () => {
          const stale = (await keysOf('default')).filter(({ is_current }) => !is_current);
          return stale.reduce((sum, { credentials }) => sum + credentials, 0) === 1;
        });
        expect(await unreadable(broken)).toHaveLength(1);
      }
      await resealing.beforeApplicationShutdown();
      expect(await unreadable(other)).toEqual([]);
      expect(await open(alice, 'broken-not')).toEqual({ api_key: 'a secret that stays' });
    });

    it("passes over a tenant whose newest key can't be unwrapped, and does the rest", async () => {
      const lost = await store(alice, 'key lost', 'a secret under the key before');
      await store(stranger, 'key lost', 'a secret of b');
      await pauseHost(host);
      await rotate({});
      const keys = 'tenant_keys where tenant_id = $1 and version = 1';
      await superuser.query(
        `insert into tenant_keys select tenant_id, 1000, root_key_id, wrapped_key from ${keys}`,
        [alice.tenantId],
      );
      const { vault, secrets, database } = parts(host);
      const resealing = new Resealing(database, vault, secrets);
      resealing.begin();
      await settled('b');
      await resealing.beforeApplicationShutdown();
      expect(await open(alice, lost)).toEqual({ api_key: 'a secret under the key before' });
      await superuser.query('delete from tenant_keys where version = 1000');
    });

    it('keeps a key for as long as a row needs it, and gives the app no way to change one', async () => {
      await expect(
        superuser.query(
          `delete from tenant_keys k using credentials c where c.tenant_id = k.tenant_id and c.key_version = k.version`,
        ),
      ).rejects.toThrow(/fk_credentials_key/);
      const app = new pg.Client({ connectionString: host.database.appUrl });
      await app.connect();
      try {
        for (const sql of ['delete from tenant_keys', `update tenant_keys set version = 1`]) {
          await expect(app.query(sql)).rejects.toThrow(/permission denied/);
        }
      } finally {
        await app.end();
      }
    });
  });

  async function operatorId(): Promise<string> {
    const sql = 'select id from users where is_operator';
    return (await superuser.query<{ id: string }>(sql)).rows[0]?.id ?? '';
  }

  /** The parts of a host that seal anew. */
  function parts({ app }: TestHost): {
    vault: Vault;
    secrets: CredentialSecrets;
    database: Database;
  } {
    return {
      vault: app.get(Vault, { strict: false }),
      secrets: app.get(CredentialSecrets, { strict: false }),
      database: app.get(Database),
    };
  }

  /** From here on the host itself seals nothing anew. */
  async function pauseHost({ app }: TestHost): Promise<void> {
    await app.get(Resealing, { strict: false }).beforeApplicationShutdown();
  }

  function vaultThat({ beforeSealing }: { beforeSealing: () => Promise<void> }): Vault {
    return new (class extends Vault {
      override async getSealingKey(
        ctx: Parameters<Vault['getSealingKey']>[0],
      ): ReturnType<Vault['getSealingKey']> {
        await beforeSealing();
        return await super.getSealingKey(ctx);
      }
    })(host.app.get(TenantKeys, { strict: false }), new SecretBox());
  }

  async function store(member: Member, name: string, secret: string): Promise<string> {
    const signing = name.startsWith('moved') ? { signing: `${secret}, to sign` } : {};
    const answer = await host.send({
      method: 'POST',
      path: '/api/provider-credentials/acme',
      key: member.key,
      body: { name, credentials: { api_key: secret, ...signing } },
    });
    if (answer.status !== 200) throw new Error(JSON.stringify(answer.body));
    return answer.body.id as string;
  }

  /** By name or id, as a step's request would. */
  async function open(member: Member, ref: string, on = host): Promise<Record<string, string>> {
    const resolver = on.app.get(CredentialResolver, { strict: false });
    for (const provider of PROVIDERS) {
      const found = await resolver.resolve(member, {
        ...{ provider, type: TYPE, ref, execution: null, isOptional: false },
      });
      if (found.kind === 'found') return await found.credential.egress.openSecrets();
    }
    throw new Error(`${ref} is not found`);
  }

  async function unreadable(id: string): Promise<unknown[]> {
    const { rows } = await superuser.query(
      `select actor_id, user_id, outcome from audit_log
        where action = 'credential.unreadable' and subject_id = $1`,
      [id],
    );
    return rows;
  }

  async function rotate(body: { tenant?: string }): Promise<unknown[]> {
    const answer = await host.send({ method: 'POST', path: ROTATE, body });
    expect(answer.status).toBe(202);
    return answer.body.rotated as unknown[];
  }

  /** Newest first. */
  async function keysOf(tenant: string): Promise<KeyRow[]> {
    const answer = await host.send({ path: '/api/admin/encryption-keys' });
    return (answer.body.keys as KeyRow[]).filter(({ tenant_name }) => tenant_name === tenant);
  }

  async function settled(tenant: string): Promise<void> {
    await eventually('every credential being under the newest key', async () =>
      (await keysOf(tenant)).every(
        ({ is_current, credentials }) => is_current || credentials === 0,
      ),
    );
  }
});
