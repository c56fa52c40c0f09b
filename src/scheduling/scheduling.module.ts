import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';

import { CLOCK, systemClock } from '../common/clock.js';
import { TenancyModule } from '../tenancy/tenancy.module.js';
import { ManualRuns } from './manual-runs.js';
import { ScheduleFire } from './schedule-fire.entity.js';
import { ScheduleFiring } from './schedule-firing.js';
import { ScheduleTicker } from './schedule-ticker.js';
import { Schedule } from './schedule.entity.js';
import { SchedulerJobsController } from './scheduler-jobs.controller.js';
import { SchedulesController } from './schedules.controller.js';
import { SchedulesService } from './schedules.service.js';
import { SimpleFires } from './simple-fires.js';

@Module({
  imports: [TypeOrmModule.forFeature([Schedule, ScheduleFire]), TenancyModule],
  controllers: [SchedulesController, SchedulerJobsController],
  providers: [
    ManualRuns,
    ScheduleFiring,
    SchedulesService,
    ScheduleTicker,
    SimpleFires,
    { provide: CLOCK, useValue: systemClock },
  ],
  exports: [ScheduleTicker],
})
export class SchedulingModule {}
