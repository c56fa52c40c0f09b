import { Controller, Get, Header } from '@nestjs/common';

import { OrScrapeToken, Requires } from '../tenancy/access.decorators.js';
import { METRICS_TYPE, Metrics } from './metrics.js';

@Controller('metrics')
@Requires('tenant.manage')
@OrScrapeToken()
export class MetricsController {
  constructor(private readonly metrics: Metrics) {}

  @Get()
  @Header('content-type', METRICS_TYPE)
  @Header('cache-control', 'no-store')
  async read(): Promise<string> {
    return await this.metrics.read();
  }
}
