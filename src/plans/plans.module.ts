import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';

import { PluginsModule } from '../plugins/plugins.module.js';
import { PlanCompiler } from './plan-compiler.js';
import { PlanVersion } from './plan-version.entity.js';
import { Plan } from './plan.entity.js';
import { PlansController } from './plans.controller.js';
import { PlansService } from './plans.service.js';

@Module({
  imports: [TypeOrmModule.forFeature([Plan, PlanVersion]), PluginsModule],
  controllers: [PlansController],
  providers: [PlanCompiler, PlansService],
  exports: [PlanCompiler, PlansService],
})
export class PlansModule {}
