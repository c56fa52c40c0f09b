import { Module } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';

import { PluginsModule } from '../plugins/plugins.module.js';
import { SchedulingModule } from '../scheduling/scheduling.module.js';
import { HealthController } from './health.controller.js';
import { HealthService } from './health.service.js';

@Module({
  imports: [TerminusModule.forRoot({ logger: false }), PluginsModule, SchedulingModule],
  controllers: [HealthController],
  providers: [HealthService],
})
export class HealthModule {}
