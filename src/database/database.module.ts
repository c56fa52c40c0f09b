import { Global, Module, type DynamicModule } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';

import { Database } from './database.js';

@Global()
@Module({})
export class DatabaseModule {
  /** @param options.appUrl a URL that connects as the app role; see openDatabase. */
  static register(options: { appUrl: string; poolSize: number }): DynamicModule {
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
        }),
      ],
      providers: [Database],
      exports: [Database],
    };
  }
}
