import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';

import { CredentialsModule } from '../credentials/credentials.module.js';
import { PluginsModule } from '../plugins/plugins.module.js';
import { TenancyModule } from '../tenancy/tenancy.module.js';
import { CredentialBindings } from './credential-bindings.js';
import { PlanCompiler } from './plan-compiler.js';
import { PlanVersion } from './plan-version.entity.js';
import { Plan } from './plan.entity.js';
import { PlansController } from './plans.controller.js';
import { PlansService } from './plans.service.js';

@Module({
  imports: [
    TypeOrmModule.forFeature([Plan, PlanVersion]),
    TenancyModule,
    PluginsModule,
    CredentialsModule,
  ],
  controllers: [PlansController],
  providers: [CredentialBindings, PlanCompiler, PlansService],
  exports: [PlanCompiler, PlansService],
})
export class PlansModule {}
