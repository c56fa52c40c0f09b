import { accessSync, constants, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';

import fastifyCookie from '@fastify/cookie';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyReply, FastifyRequest } from 'fastify';

import { AppModule } from './app.module.js';
import { APP_ERRORS, messageOf, StartupError } from './common/errors.js';
import { refuseNulInUrls, useJsonBodies } from './common/http/json-body.js';
import { refuseApi } from './common/http/refuse-api.js';
import { toAppError, toProblem } from './common/http/problem.filter.js';
import { validationPipe } from './common/http/validation.pipe.js';
import { newId } from './common/ids.js';
import { makeLogger, NestLogger } from './common/logging/logger.js';
import type { Config } from './config/config.js';
import {
  ADMIN_KEY_FILE,
  isAlive,
  readHostFile,
  removeHostFile,
  writeHostFile,
} from './config/host-file.js';
import { anotherHost, openDatabase, type OpenDatabase } from './database/open-database.js';
import { PluginCatalogue } from './plugins/plugin-catalogue.js';
import { makeApiKey } from './tenancy/api-key.js';
import { TenantsService } from './tenancy/tenants.service.js';

/** Plans are read whole; larger payloads will go by file handle. */
const BODY_LIMIT_BYTES = 1024 * 1024;
/** Of one part of a path: the token of a wait is the longest, about 160. */
const MAX_PARAM_CHARS = 400;
/** For a request to arrive whole: a client that trickles holds nothing for long. */
const REQUEST_TIMEOUT_MS = 30_000;
/** For answers that are on their way while the host stops: its runs have ended by then. */
const LAST_ANSWERS_MS = 2_000;

export interface Host {
  url: string;
  /** Of the first admin; only at the first start on a database. */
  newAdminKey: string | null;
  /** Stops taking work, lets running steps end, then closes everything in order. */
  close(): Promise<void>;
}

/**
 * Brings up a whole host: database, plugins, sandbox, API.
 * @throws StartupError with one line that says what to do.
 */
export async function startHost(config: Config): Promise<Host> {
  await requireFreePort(config);
  makeHome(config.home);
  const database = await openDatabase(config);
  try {
    const app = await createApp(config, database);
    try {
      const newAdminKey = await createDefaultTenant(app, config.home);
      await app.get(PluginCatalogue).discover();
      await app.init();
      const url = await listen(app, config);
      writeHostFile(config.home, {
        pid: process.pid,
        url,
        started_at: new Date().toISOString(),
      });
      return {
        url,
        newAdminKey,
        close: async () => {
          removeHostFile(config.home);
          try {
            await app.close();
          } finally {
            await database.close();
          }
        },
      };
    } catch (error) {
      await app.close();
      throw error;
    }
  } catch (error) {
    await database.close();
    throw error;
  }
}

/** The application without a port: integration tests send requests through `app.inject`. */
export async function createApp(
  config: Config,
  database: Pick<OpenDatabase, 'appUrl' | 'rootKey'>,
): Promise<NestFastifyApplication> {
  const adapter = new FastifyAdapter({
    trustProxy: config.trustedProxies.length > 0 ? config.trustedProxies : false,
    genReqId: () => newId(),
    bodyLimit: BODY_LIMIT_BYTES,
    routerOptions: { maxParamLength: MAX_PARAM_CHARS },
    // Who waits for an execution is answered before its connection closes.
    forceCloseConnections: 'idle',
    requestTimeout: REQUEST_TIMEOUT_MS,
    frameworkErrors: (error: unknown, request: FastifyRequest, reply: FastifyReply) => {
      const problem = toAppError(error);
      void reply
        .status(APP_ERRORS[problem.code].status)
        .type('application/problem+json')
        .send(toProblem(problem, request.id));
    },
  });
  const app = await NestFactory.create<NestFastifyApplication>(
    AppModule.register(config, database),
    adapter,
    { logger: new NestLogger(makeLogger(config.logLevel)), abortOnError: false, bodyParser: false },
  );
  await app.register(fastifyCookie);
  app.useGlobalPipes(validationPipe());
  useJsonBodies(app, BODY_LIMIT_BYTES);
  refuseNulInUrls(app);
  if (!config.roles.includes('api')) refuseApi(app);
  dropLateConnections(app);
  return app;
}

/**
 * Node closes connections that rest between two requests. One on which nothing was ever sent, or half a
 * request, isn't among them, and would keep a stopping host until somebody lost patience.
 */
function dropLateConnections(app: NestFastifyApplication): void {
  const server = app.getHttpServer();
  app
    .getHttpAdapter()
    .getInstance()
    .addHook('preClose', (done) => {
      setTimeout(() => {
        server.closeAllConnections();
      }, LAST_ANSWERS_MS).unref();
      done();
    });
}

/**
 * The first tenant, its operator and that one's key. The key is on disk before the database knows
 * it: whatever happens between, nobody is locked out.
 */
async function createDefaultTenant(
  app: NestFastifyApplication,
  home: string,
): Promise<string | null> {
  const tenants = app.get(TenantsService);
  if (await tenants.hasTenants()) return null;
  const key = makeApiKey();
  const path = join(home, ADMIN_KEY_FILE);
  try {
    rmSync(path, { force: true }); // a file that exists would keep its mode
    writeFileSync(path, `${key.key}\n`, { mode: 0o600 });
  } catch (error) {
    throw new StartupError(`the first API key can't be written: ${messageOf(error)}`, error);
  }
  return (await tenants.createDefaultTenant(key)) ? key.key : null;
}

function makeHome(home: string): void {
  try {
    mkdirSync(home, { recursive: true, mode: 0o700 });
    accessSync(home, constants.W_OK);
  } catch (error) {
    throw new StartupError(
      `the home ${home} can't be used: ${messageOf(error)}; set STEPWELL_HOME to a folder that you may write to`,
      error,
    );
  }
}

/** Before anything is started, so that a taken port costs nothing and changes nothing. */
async function requireFreePort(config: Config): Promise<void> {
  if (config.port === 0) return;
  const probe = createServer();
  await new Promise<void>((resolve, reject) => {
    probe.once('error', reject);
    probe.listen(config.port, config.host, resolve);
  }).catch((error: unknown) => {
    throw cannotListen(config, error);
  });
  await new Promise<void>((resolve) => {
    probe.close(() => {
      resolve();
    });
  });
}

async function listen(app: NestFastifyApplication, config: Config): Promise<string> {
  try {
    await app.listen(config.port, config.host);
  } catch (error) {
    throw cannotListen(config, error);
  }
  return (await app.getUrl()).replace('[::1]', '127.0.0.1');
}

function cannotListen(config: Config, error: unknown): StartupError {
  const where = `${config.host}:${String(config.port)}`;
  const code = (error as { code?: string }).code;
  if (code === 'EADDRINUSE') {
    const other = readHostFile(config.home);
    if (other && isAlive(other.pid) && new URL(other.url).port === String(config.port)) {
      return anotherHost(config.home, other);
    }
    return new StartupError(
      `${where} is taken by another program; set PORT to a free one, or stop that program`,
      error,
    );
  }
  if (code === 'EACCES') {
    return new StartupError(`${where} needs more rights; set PORT to one above 1023`, error);
  }
  return new StartupError(
    `cannot listen on ${where}: ${messageOf(error)} (check HOST and PORT)`,
    error,
  );
}
