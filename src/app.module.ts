import { join } from 'node:path';

import { Module, type DynamicModule } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';

import { ProblemFilter } from './common/http/problem.filter.js';
import type { Config } from './config/config.js';
import { CredentialsModule } from './credentials/credentials.module.js';
import { DatabaseModule } from './database/database.module.js';
import type { OpenDatabase } from './database/open-database.js';
import { ExecutionModule } from './execution/execution.module.js';
import { ExecutionSettings } from './execution/execution-settings.js';
import { SpoolSettings } from './execution/spool/spool-settings.js';
import { HealthModule } from './health/health.module.js';
import { MonitoringModule } from './monitoring/monitoring.module.js';
import { PlansModule } from './plans/plans.module.js';
import { PluginsModule } from './plugins/plugins.module.js';
import { SandboxModule } from './plugins/sandbox.module.js';
import { SchedulingModule } from './scheduling/scheduling.module.js';
import { TenancyModule } from './tenancy/tenancy.module.js';
import { TenancySettingsModule } from './tenancy/tenancy-settings.js';
import { QueueModule } from './queue/queue.module.js';
import { TriggersModule } from './triggers/triggers.module.js';

/** Steps that still run when the host stops get this long to finish. */
const DRAIN_MS = 10_000;
const MB = 1024 * 1024;

@Module({})
export class AppModule {
  static register(
    config: Config,
    { appUrl, rootKey }: Pick<OpenDatabase, 'appUrl' | 'rootKey'>,
  ): DynamicModule {
    return {
      module: AppModule,
      imports: [
        DatabaseModule.register({ appUrl, rootKey, poolSize: config.dbPoolSize }),
        QueueModule.register(config),
        SandboxModule.register(config),
        TenancySettingsModule.register(config),
        TenancyModule,
        PluginsModule,
        CredentialsModule,
        PlansModule,
        ExecutionModule.register(
          new ExecutionSettings(config.maxRunningExecutions, DRAIN_MS),
          new SpoolSettings(config.spool, config.spoolMaxMb * MB, join(config.home, 'spool')),
          config,
        ),
        SchedulingModule,
        TriggersModule.register(config),
        MonitoringModule,
        HealthModule,
      ],
      providers: [{ provide: APP_FILTER, useClass: ProblemFilter }],
    };
  }
}
