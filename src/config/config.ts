import { existsSync } from 'node:fs';
import { isIP } from 'node:net';
import { isAbsolute, resolve } from 'node:path';

import { z } from 'zod';

import { StartupError } from '../common/errors.js';
import { HOST_ROLES, type HostRole } from './host-roles.js';

/** Everything an operator can set. Read once, validated, frozen. */
export interface Config {
  /** Folder of this installation: embedded database, keys, host.json. */
  home: string;
  host: string;
  port: number;
  /** Where others reach the API, without a slash at its end. Null: where this host listens. */
  publicUrl: string | null;
  /** Null: embedded PostgreSQL under `home`. */
  databaseUrl: string | null;
  /** Connection for migrations alone; then `databaseUrl` must be the app role. */
  migrationUrl: string | null;
  dbRolePrefix: string;
  dbPoolSize: number;
  /** 32 bytes. Null: the key file under `home`, only with the embedded database. */
  encryptionKey: Buffer | null;
  /** Absolute paths of packed plugins, plugin folders or tarballs. */
  plugins: string[];
  /** Raw rules; egress parses them. */
  egressAllow: string;
  trustedProxies: string[];
  /** What becomes of a `user_id` that nobody has: `create` makes a member when an admin's key sends it. */
  legacyUsers: 'refuse' | 'create';
  /** What this host does; at least one, each once. */
  roles: readonly HostRole[];
  logLevel: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';
  /** For how many days executions and their journals are kept after their end. Null: for ever. */
  logRetentionDays: number | null;
  /** Executions that this host walks at the same time; more wait in the queue. */
  maxRunningExecutions: number;
  /** Keeps new runs in `<home>/spool` while the database is away. */
  spool: boolean;
  /** All that the spool may hold, in MB of its files. */
  spoolMaxMb: number;
  /** Lets Prometheus read `/metrics` without an operator's key. Null: only operators may. */
  metricsToken: string | null;
  /** Sandbox children at the same time. Null: as many as the machine's memory and cores carry. */
  maxSandboxChildren: number | null;
}

/**
 * Reads the environment: the only reader of process.env in the host.
 * @throws StartupError naming every variable that is wrong.
 */
export function loadConfig(env: NodeJS.ProcessEnv = process.env, cwd = process.cwd()): Config {
  const parsed = schema.safeParse(env);
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${issue.path.join('.')} ${issue.message}`);
    throw new StartupError(`wrong settings: ${problems.join('; ')}`);
  }
  const vars = parsed.data;
  if (vars.STEPWELL_MIGRATION_URL !== undefined && vars.DATABASE_URL === undefined) {
    throw new StartupError(
      'STEPWELL_MIGRATION_URL needs DATABASE_URL, too: the app role connects there',
    );
  }
  if (vars.DATABASE_URL !== undefined && vars.STEPWELL_ENCRYPTION_KEY === undefined) {
    throw new StartupError(
      'DATABASE_URL needs STEPWELL_ENCRYPTION_KEY: 32 random bytes in base64 (openssl rand -base64 32), the same on every host of this database',
    );
  }
  return Object.freeze({
    home: resolve(cwd, vars.STEPWELL_HOME),
    host: vars.HOST,
    port: vars.PORT,
    publicUrl: vars.STEPWELL_PUBLIC_URL ?? null,
    databaseUrl: vars.DATABASE_URL ?? null,
    migrationUrl: vars.STEPWELL_MIGRATION_URL ?? null,
    dbRolePrefix: vars.STEPWELL_DB_ROLE_PREFIX,
    dbPoolSize: vars.STEPWELL_DB_POOL_SIZE,
    encryptionKey: vars.STEPWELL_ENCRYPTION_KEY ?? null,
    plugins: splitPaths(vars.STEPWELL_PLUGINS, cwd),
    egressAllow: vars.STEPWELL_EGRESS_ALLOW,
    trustedProxies: splitList(vars.STEPWELL_TRUSTED_PROXIES),
    legacyUsers: vars.STEPWELL_LEGACY_USERS,
    roles: vars.STEPWELL_ROLES,
    logLevel: vars.LOG_LEVEL,
    logRetentionDays: vars.STEPWELL_LOG_RETENTION_DAYS,
    maxRunningExecutions: vars.STEPWELL_MAX_RUNNING_EXECUTIONS,
    maxSandboxChildren: vars.STEPWELL_MAX_SANDBOX_CHILDREN ?? null,
    spool: vars.STEPWELL_SPOOL === 'on',
    spoolMaxMb: vars.STEPWELL_SPOOL_MAX_MB,
    metricsToken: vars.STEPWELL_METRICS_TOKEN ?? null,
  });
}

/** A hundred years. */
const MOST_RETENTION_DAYS = 36_500;

const postgresUrl = z
  .string()
  .refine((text) => /^postgres(ql)?:\/\//.test(text) && URL.canParse(text), {
    message: 'must be a postgres:// URL',
  })
  .optional();

/** What links begin with: nothing may stand in it that a path can't follow. */
const publicUrl = z
  .string()
  .transform((text, ctx) => {
    const url = URL.canParse(text) ? new URL(text) : null;
    const isPlain = url?.username === '' && url.password === '' && !/[?#]/.test(text);
    if (isPlain && /^https?:$/.test(url.protocol)) return url.href.replace(/\/+$/, '');
    ctx.addIssue({
      code: 'custom',
      message: 'must be an http:// or https:// URL without user, query and fragment',
    });
    return z.NEVER;
  })
  .optional();

/** An empty variable means the same as none: `FOO= npm start` is how people unset one. */
const schema = z.preprocess(
  (env) =>
    Object.fromEntries(
      Object.entries(env as Record<string, string | undefined>).filter(
        ([, value]) => value !== undefined && value !== '',
      ),
    ),
  z.object({
    STEPWELL_HOME: z.string().default('.stepwell'),
    HOST: z.string().default('127.0.0.1'),
    PORT: z.coerce
      .number({ message: 'must be a port number' })
      .int()
      .min(0)
      .max(65_535)
      .default(5001),
    STEPWELL_PUBLIC_URL: publicUrl,
    DATABASE_URL: postgresUrl,
    STEPWELL_MIGRATION_URL: postgresUrl,
    STEPWELL_DB_ROLE_PREFIX: z
      .string()
      .regex(/^[a-z][a-z0-9_]{0,30}$/, 'must be lower case letters, digits and _')
      .default('stepwell_'),
    STEPWELL_DB_POOL_SIZE: z.coerce.number().int().min(2).max(500).default(20),
    STEPWELL_ENCRYPTION_KEY: z
      .string()
      .transform((text, ctx) => {
        const key = Buffer.from(text, 'base64');
        if (key.length === 32) return key;
        ctx.addIssue({ code: 'custom', message: 'must be 32 bytes in base64' });
        return z.NEVER;
      })
      .optional(),
    STEPWELL_PLUGINS: z.string().default(''),
    STEPWELL_EGRESS_ALLOW: z.string().default(''),
    STEPWELL_TRUSTED_PROXIES: z
      .string()
      .refine((text) => splitList(text).every(isAddressOrRange), {
        message: 'must be IP addresses or CIDR ranges, comma-separated',
      })
      .default(''),
    STEPWELL_LEGACY_USERS: z.enum(['refuse', 'create']).default('refuse'),
    STEPWELL_ROLES: z
      .string()
      .default(HOST_ROLES.join())
      .transform((text, ctx) => {
        const named = splitList(text);
        const unknown = named.find((name) => !isHostRole(name));
        if (unknown === undefined && named.length > 0)
          return HOST_ROLES.filter((role) => named.includes(role));
        const wrong = unknown === undefined ? '' : `, not "${unknown}"`;
        ctx.addIssue({
          code: 'custom',
          message: `must be some of ${HOST_ROLES.join(', ')}, comma-separated${wrong}`,
        });
        return z.NEVER;
      }),
    LOG_LEVEL: z
      .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
      .default('warn'),
    STEPWELL_LOG_RETENTION_DAYS: z
      .string()
      .default('90')
      .transform((text, ctx) => {
        if (text === 'forever') return null;
        const days = /^\d{1,5}$/.test(text) ? Number(text) : 0;
        if (days >= 1 && days <= MOST_RETENTION_DAYS) return days;
        const message = `must be a number of days from 1 to ${String(MOST_RETENTION_DAYS)}, or forever`;
        ctx.addIssue({ code: 'custom', message });
        return z.NEVER;
      }),
    STEPWELL_MAX_RUNNING_EXECUTIONS: z.coerce.number().int().min(1).max(10_000).default(100),
    STEPWELL_MAX_SANDBOX_CHILDREN: z.coerce.number().int().min(1).max(200).optional(),
    STEPWELL_SPOOL: z.enum(['on', 'off']).default('off'),
    STEPWELL_SPOOL_MAX_MB: z.coerce.number().int().min(1).max(100_000).default(256),
    STEPWELL_METRICS_TOKEN: z
      .string()
      .regex(/^[\x21-\x7e]{16,200}$/, 'must be 16 to 200 visible ASCII characters')
      .optional(),
  }),
);

function isHostRole(name: string): name is HostRole {
  return (HOST_ROLES as readonly string[]).includes(name);
}

/** A range of everything is none: whoever comes would be believed. */
function isAddressOrRange(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/');
  const version = isIP(address);
  if (version === 0 || rest.length > 0) return false;
  return (
    bits === undefined ||
    (/^\d{1,3}$/.test(bits) && Number(bits) > 0 && Number(bits) <= (version === 4 ? 32 : 128))
  );
}

function splitList(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

/** Paths may hold commas' neighbours such as spaces; a whole value that exists is one path. */
function splitPaths(text: string, cwd: string): string[] {
  const absolute = (path: string): string => (isAbsolute(path) ? path : resolve(cwd, path));
  if (text !== '' && existsSync(absolute(text))) return [absolute(text)];
  return splitList(text).map(absolute);
}
