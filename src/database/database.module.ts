import { Global, Module, type DynamicModule } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';

import { DatabaseWatch } from './database-watch.js';
import { Database } from './database.js';
import { ImpatientClient } from './impatient-client.js';
import { ROOT_KEY } from './root-key.js';
import { PgWatchConnection } from './watch-connection.js';

const CONNECT_TIMEOUT_MS = 5_000;
const STATEMENT_TIMEOUT_MS = 15_000;

/** Where requests connect, as the app role: for what needs connections of its own. */
export const APP_URL = Symbol('AppUrl');

/** A server that hangs is as good as gone: waiting for it would hang the host as well. */
export function poolOptions() {
  return {
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    Client: ImpatientClient,
    keepAlive: true,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    idle_in_transaction_session_timeout: STATEMENT_TIMEOUT_MS,
    query_timeout: STATEMENT_TIMEOUT_MS + 1_000,
  };
}

@Global()
@Module({})
export class DatabaseModule {
  /**
   * @param options.appUrl a URL that connects as the app role; see openDatabase
   * @param options.rootKey what every other key of the installation comes from
   */
  static register(options: { appUrl: string; rootKey: Buffer; poolSize: number }): DynamicModule {
    return {
      module: DatabaseModule,
      imports: [
        TypeOrmModule.forRoot({
          type: 'postgres',
          url: options.appUrl,
          autoLoadEntities: true,
          synchronize: false,
          poolSize: options.poolSize,
          applicationName: 'stepwell',
          retryAttempts: 1,
          extra: poolOptions(),
        }),
      ],
      providers: [
        Database,
        {
          provide: DatabaseWatch,
          useFactory: () => new DatabaseWatch(() => new PgWatchConnection(options.appUrl)),
        },
        { provide: ROOT_KEY, useValue: options.rootKey },
        { provide: APP_URL, useValue: options.appUrl },
      ],
      exports: [Database, DatabaseWatch, ROOT_KEY, APP_URL],
    };
  }
}
