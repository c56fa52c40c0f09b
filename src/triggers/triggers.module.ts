import { Module, type DynamicModule } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';

import { CLOCK, systemClock } from '../common/clock.js';
import { TenancyModule } from '../tenancy/tenancy.module.js';
import { TriggersSettings } from './triggers-settings.js';
import { PlanDefinitions } from './plan-definitions.js';
import { WebhookCalls } from './webhook-calls.js';
import { WebhookRoutes } from './webhook-routes.js';
import { Webhook } from './webhook.entity.js';
import { WebhooksController } from './webhooks.controller.js';
import { WebhooksService } from './webhooks.service.js';

@Module({})
export class TriggersModule {
  static register({ spool }: TriggersSettings): DynamicModule {
    return {
      module: TriggersModule,
      imports: [TypeOrmModule.forFeature([Webhook]), TenancyModule],
      controllers: [WebhooksController],
      providers: [
        PlanDefinitions,
        WebhookCalls,
        WebhookRoutes,
        WebhooksService,
        { provide: CLOCK, useValue: systemClock },
        { provide: TriggersSettings, useValue: new TriggersSettings(spool) },
      ],
    };
  }
}
