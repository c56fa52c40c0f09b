import { Global, Module, type DynamicModule } from '@nestjs/common';

import type { Config } from '../config/config.js';
import { GraphileWorkQueue } from './graphile-work-queue.js';
import { ThisHost } from './this-host.js';
import { WORK_QUEUE } from './work-queue.js';

@Global()
@Module({})
export class QueueModule {
  static register(config: Pick<Config, 'roles'>): DynamicModule {
    return {
      module: QueueModule,
      providers: [
        { provide: ThisHost, useFactory: () => new ThisHost(config.roles) },
        { provide: WORK_QUEUE, useClass: GraphileWorkQueue },
      ],
      exports: [ThisHost, WORK_QUEUE],
    };
  }
}
