import { Controller, Get, Res } from '@nestjs/common';
import type { HealthCheckResult } from '@nestjs/terminus';
import type { FastifyReply } from 'fastify';

import { Public } from '../tenancy/access.decorators.js';
import { HealthService, type HealthSummary } from './health.service.js';

@Controller('api/health')
@Public()
export class HealthController {
  constructor(private readonly health: HealthService) {}

  @Get()
  async summary(@Res({ passthrough: true }) reply: FastifyReply): Promise<HealthSummary> {
    const summary = await this.health.summarize();
    if (summary.status === 'unhealthy') reply.status(503);
    return summary;
  }

  /** The process answers. */
  @Get('live')
  async live(): Promise<HealthCheckResult> {
    return await this.health.checkLive();
  }

  /** It can do its work. */
  @Get('ready')
  async ready(): Promise<HealthCheckResult> {
    return await this.health.checkReady();
  }
}
