import { Global, Module, type DynamicModule } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';

import { CLOCK, systemClock } from '../common/clock.js';
import { DatabaseWatch } from '../database/database-watch.js';
import { PlansModule } from '../plans/plans.module.js';
import { PluginsModule } from '../plugins/plugins.module.js';
import { CredentialsModule } from '../credentials/credentials.module.js';
import { TenancyModule } from '../tenancy/tenancy.module.js';
import { ExecutionBlob } from './blobs/execution-blob.entity.js';
import { PayloadLoads } from './blobs/payload-loads.js';
import { PayloadsController } from './blobs/payloads.controller.js';
import { PayloadsService } from './blobs/payloads.service.js';
import { CredentialTestsController } from './credential-tests.controller.js';
import { CredentialTestsService } from './credential-tests.service.js';
import { EngineMetrics } from './engine-metrics.js';
import { ExecuteController } from './execute.controller.js';
import { ExecuteService } from './execute.service.js';
import { ExecutionLog } from './execution-log.entity.js';
import { ExecutionLogsService } from './execution-logs.service.js';
import { ExecutionSettings } from './execution-settings.js';
import { Execution } from './execution.entity.js';
import { ExecutionsController } from './executions.controller.js';
import { ExecutionsService } from './executions.service.js';
import { ExecutionLimit } from './limits/execution-limit.entity.js';
import { LimitsController } from './limits/limits.controller.js';
import { LimitsService } from './limits/limits.service.js';
import { RecentLimits } from './limits/recent-limits.js';
import { TenantShare } from './limits/tenant-share.entity.js';
import { TenantSharesController } from './limits/tenant-shares.controller.js';
import { TenantSharesService } from './limits/tenant-shares.service.js';
import { PgRunStore } from './pg-run-store.js';
import { Retention, RETENTION_SETTINGS, type RetentionSettings } from './retention/retention.js';
import { RunClaims } from './run-claims.js';
import { RunControlsController } from './run-controls.controller.js';
import { RunControlsService } from './run-controls.service.js';
import { RunDispatcher } from './run-dispatcher.js';
import { RunRepeatsService } from './run-repeats.service.js';
import { RunStarts } from './run-starts.service.js';
import { DIRECT_RUN_STORE, RUN_STORE, type RunStore } from './run-store.js';
import { RunWalker } from './run-walker.js';
import { SchemaChecks } from './schema-checks.js';
import { RunnablePlans } from './spool/runnable-plans.js';
import { SpoolFlusher } from './spool/spool-flusher.js';
import { SpoolSettings } from './spool/spool-settings.js';
import { Spool } from './spool/spool.js';
import { SpoolingRunStore } from './spool/spooling-run-store.js';
import { StepAccessService } from './step-access.js';
import { StepPreparer } from './step-preparer.js';
import { StepRunner } from './step-runner.js';
import { StepWalker } from './step-walker.js';
import { ExecutionWait } from './waits/execution-wait.entity.js';
import { PUBLIC_URL_SETTINGS, PublicUrl, type PublicUrlSettings } from './waits/public-url.js';
import { SubPlans } from './waits/sub-plans.js';
import { WaitTokens } from './waits/wait-tokens.js';
import { WaitsController } from './waits/waits.controller.js';
import { WaitsService } from './waits/waits.service.js';

@Global()
@Module({})
export class ExecutionModule {
  static register(
    settings: ExecutionSettings,
    spool: SpoolSettings,
    { publicUrl, host, port, logRetentionDays }: PublicUrlSettings & RetentionSettings,
  ): DynamicModule {
    return {
      module: ExecutionModule,
      imports: [
        TypeOrmModule.forFeature([
          Execution,
          ExecutionBlob,
          ExecutionLimit,
          ExecutionLog,
          ExecutionWait,
          TenantShare,
        ]),
        TenancyModule,
        PluginsModule,
        CredentialsModule,
        PlansModule,
      ],
      controllers: [
        CredentialTestsController,
        ExecuteController,
        ExecutionsController,
        LimitsController,
        PayloadsController,
        RunControlsController,
        TenantSharesController,
        WaitsController,
      ],
      providers: [
        CredentialTestsService,
        ExecuteService,
        ExecutionLogsService,
        ExecutionsService,
        EngineMetrics,
        LimitsService,
        PayloadLoads,
        PayloadsService,
        RecentLimits,
        Retention,
        RunClaims,
        PublicUrl,
        RunControlsService,
        RunDispatcher,
        RunRepeatsService,
        RunStarts,
        RunWalker,
        RunnablePlans,
        SchemaChecks,
        StepAccessService,
        StepPreparer,
        StepRunner,
        StepWalker,
        SubPlans,
        WaitTokens,
        WaitsService,
        TenantSharesService,
        { provide: ExecutionSettings, useValue: settings },
        { provide: PUBLIC_URL_SETTINGS, useValue: { publicUrl, host, port } },
        { provide: RETENTION_SETTINGS, useValue: { logRetentionDays } },
        { provide: CLOCK, useValue: systemClock },
        Spool,
        SpoolFlusher,
        { provide: SpoolSettings, useValue: spool },
        { provide: DIRECT_RUN_STORE, useClass: PgRunStore },
        {
          provide: RUN_STORE,
          useFactory: (direct: RunStore, kept: Spool, watch: DatabaseWatch) =>
            spool.isOn ? new SpoolingRunStore(direct, kept, watch) : direct,
          inject: [DIRECT_RUN_STORE, Spool, DatabaseWatch],
        },
      ],
      exports: [EngineMetrics, PublicUrl, RunDispatcher, RunStarts, Spool],
    };
  }
}
