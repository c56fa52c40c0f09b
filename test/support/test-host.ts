import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { NestFastifyApplication } from '@nestjs/platform-fastify';

import type { Permission, Role } from '../../src/common/ctx.js';
import { loadConfig, type Config } from '../../src/config/config.js';
import { createApp } from '../../src/host.js';
import { PluginCatalogue } from '../../src/plugins/plugin-catalogue.js';
import { makeApiKey } from '../../src/tenancy/api-key.js';
import { TenantsService, type NewTenant } from '../../src/tenancy/tenants.service.js';
import { cloneDatabase, type TestDatabase } from './test-database.js';

export interface Answer {
  status: number;
  headers: Record<string, unknown>;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- answers are JSON of any shape; each test says what it expects
  body: any;
}

export interface TestHost {
  app: NestFastifyApplication;
  database: TestDatabase;
  /** Every route that the host serves, as Fastify knows it. */
  routes: { method: string; path: string; config: unknown }[];
  /** Of the operator, who is the admin of tenant "default". */
  operatorKey: string;
  send(request: {
    method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
    path: string;
    key?: string | null;
    body?: unknown;
    headers?: Record<string, string>;
  }): Promise<Answer>;
  createTenant(name: string): Promise<NewTenant>;
  /** A member with a key, made by an admin of the tenant; default: by the operator, in "default". */
  createUser(options?: NewMember): Promise<Member>;
  /** A session token for a key. */
  beginSession(key: string): Promise<string>;
  close(): Promise<void>;
}

export interface NewMember {
  adminKey?: string;
  role?: Role;
  externalId?: string;
  /** Of the key; default: all that the user has. */
  permissions?: Permission[];
}

export interface Member {
  id: string;
  externalId: string;
  key: string;
  keyId: string;
}

/** A whole host on a fresh database, without a port: requests go through `app.inject`. */
export async function startTestHost(
  options: { plugins?: string[]; env?: Record<string, string>; database?: TestDatabase } = {},
): Promise<TestHost> {
  const database = options.database ?? (await cloneDatabase());
  const home = mkdtempSync(join(tmpdir(), 'stepwell-home-'));
  const config: Config = {
    ...loadConfig({
      STEPWELL_HOME: home,
      STEPWELL_MAX_SANDBOX_CHILDREN: '3',
      LOG_LEVEL: 'fatal',
      ...options.env,
    }),
    plugins: options.plugins ?? [],
  };
  const app = await createApp(config, database);
  const routes: TestHost['routes'] = [];
  app
    .getHttpAdapter()
    .getInstance()
    .addHook('onRoute', ({ method, url, config }) => {
      for (const one of [method].flat()) {
        if (one !== 'HEAD' && one !== 'OPTIONS') routes.push({ method: one, path: url, config });
      }
    });
  const operator = await app.get(TenantsService).createDefaultTenant(makeApiKey());
  await app.get(PluginCatalogue).discover();
  await app.init();
  await app.getHttpAdapter().getInstance().ready();
  const operatorKey = operator?.api_key ?? '';

  const send: TestHost['send'] = async ({
    method = 'GET',
    path,
    key = operatorKey,
    body,
    headers,
  }) => {
    const response = await app.inject({
      method,
      url: path,
      headers: { ...(key === null ? {} : { 'x-api-key': key }), ...headers },
      ...(body === undefined ? {} : { payload: body as object }),
    });
    return {
      status: response.statusCode,
      headers: response.headers,
      body: isJson(response.headers) ? JSON.parse(response.body) : response.body || null,
    };
  };
  return {
    app,
    database,
    routes,
    operatorKey,
    send,
    createTenant: async (name) => {
      const answer = await send({ method: 'POST', path: '/api/admin/tenants', body: { name } });
      if (answer.status !== 201) throw new Error(`no tenant: ${JSON.stringify(answer.body)}`);
      return answer.body as NewTenant;
    },
    createUser: async (options = {}) => {
      const { adminKey = operatorKey, role = 'user', externalId = randomUUID() } = options;
      const post = async (path: string, body: unknown): Promise<Answer['body']> => {
        const answer = await send({ method: 'POST', path, key: adminKey, body });
        if (answer.status !== 201) throw new Error(`${path}: ${JSON.stringify(answer.body)}`);
        return answer.body;
      };
      const user = await post('/api/users', { external_id: externalId, role });
      const { permissions } = options;
      const key = await post('/api/api-keys', {
        name: 'first',
        user_id: user.id,
        ...(permissions && { permissions }),
      });
      return { id: user.id, externalId, key: key.key, keyId: key.id };
    },
    beginSession: async (key) => {
      const answer = await send({ method: 'POST', path: '/api/auth/token', key });
      if (answer.status !== 200) throw new Error(`no session: ${JSON.stringify(answer.body)}`);
      return answer.body.token as string;
    },
    close: async () => {
      await app.close();
      if (!options.database) await database.drop();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** Metrics are text. */
function isJson(headers: Record<string, unknown>): boolean {
  return /\bjson\b/.test(String(headers['content-type']));
}
