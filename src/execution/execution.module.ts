import { Global, Module, type DynamicModule } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';

import { CLOCK, systemClock } from '../common/clock.js';
import { PlansModule } from '../plans/plans.module.js';
import { PluginsModule } from '../plugins/plugins.module.js';
import { CredentialsModule } from '../credentials/credentials.module.js';
import { TenancyModule } from '../tenancy/tenancy.module.js';
import { CredentialTestsController } from './credential-tests.controller.js';
import { CredentialTestsService } from './credential-tests.service.js';
import { ExecuteController } from './execute.controller.js';
import { ExecuteService } from './execute.service.js';
import { ExecutionLog } from './execution-log.entity.js';
import { ExecutionSettings } from './execution-settings.js';
import { Execution } from './execution.entity.js';
import { ExecutionsController } from './executions.controller.js';
import { ExecutionsService } from './executions.service.js';
import { PgRunStore } from './pg-run-store.js';
import { RunControlsController } from './run-controls.controller.js';
import { RunControlsService } from './run-controls.service.js';
import { RunDispatcher } from './run-dispatcher.js';
import { RunRepeatsService } from './run-repeats.service.js';
import { RUN_STORE } from './run-store.js';
import { RunWalker } from './run-walker.js';
import { SchemaChecks } from './schema-checks.js';
import { StepAccessService } from './step-access.js';
import { StepPreparer } from './step-preparer.js';
import { StepRunner } from './step-runner.js';
import { StepWalker } from './step-walker.js';

@Global()
@Module({})
export class ExecutionModule {
  static register(settings: ExecutionSettings): DynamicModule {
    return {
      module: ExecutionModule,
      imports: [
        TypeOrmModule.forFeature([Execution, ExecutionLog]),
        TenancyModule,
        PluginsModule,
        CredentialsModule,
        PlansModule,
      ],
      controllers: [
        CredentialTestsController,
        ExecuteController,
        ExecutionsController,
        RunControlsController,
      ],
      providers: [
        CredentialTestsService,
        ExecuteService,
        ExecutionsService,
        RunControlsService,
        RunDispatcher,
        RunRepeatsService,
        RunWalker,
        SchemaChecks,
        StepAccessService,
        StepPreparer,
        StepRunner,
        StepWalker,
        { provide: ExecutionSettings, useValue: settings },
        { provide: CLOCK, useValue: systemClock },
        { provide: RUN_STORE, useClass: PgRunStore },
      ],
      exports: [RunDispatcher],
    };
  }
}
