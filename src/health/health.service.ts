import { HttpException, Injectable } from '@nestjs/common';
import {
  HealthCheckService,
  HealthIndicatorService,
  TypeOrmHealthIndicator,
  type HealthCheckResult,
  type HealthIndicatorResult,
} from '@nestjs/terminus';

import { IsolateSandbox } from '../sandbox/isolate/isolate-sandbox.js';
import { PluginCatalogue } from '../plugins/plugin-catalogue.js';
import { RunDispatcher } from '../execution/run-dispatcher.js';
import { ScheduleTicker } from '../scheduling/schedule-ticker.js';
import { ThisHost } from '../queue/this-host.js';

export interface HealthSummary {
  status: 'healthy' | 'degraded' | 'unhealthy';
  timestamp: string;
  scheduler: 'active' | 'inactive';
  /** Why it isn't healthy: one line for each. */
  reasons?: string[];
}

const DATABASE_TIMEOUT_MS = 3_000;

@Injectable()
export class HealthService {
  constructor(
    private readonly checks: HealthCheckService,
    private readonly indicators: HealthIndicatorService,
    private readonly typeorm: TypeOrmHealthIndicator,
    private readonly catalogue: PluginCatalogue,
    private readonly sandbox: IsolateSandbox,
    private readonly dispatcher: RunDispatcher,
    private readonly ticker: ScheduleTicker,
    private readonly host: ThisHost,
  ) {}

  async checkLive(): Promise<HealthCheckResult> {
    return await this.checks.check([]);
  }

  /** @throws ServiceUnavailableException (503) when something that the host can't do without is away. */
  async checkReady(): Promise<HealthCheckResult> {
    return await this.checks.check([
      () => this.typeorm.pingCheck('database', { timeout: DATABASE_TIMEOUT_MS }),
      () => this.sandboxPool(),
      () => this.plugins(),
      () => this.queue(),
      () => this.scheduler(),
    ]);
  }

  async summarize(): Promise<HealthSummary> {
    const scheduler = await this.ticker.checkHealth();
    const summary = {
      timestamp: new Date().toISOString(),
      scheduler: scheduler.isActive ? ('active' as const) : ('inactive' as const),
    };
    try {
      await this.checkReady();
    } catch (error) {
      return { status: 'unhealthy', ...summary, reasons: downReasons(error) };
    }
    const reasons = this.catalogue.quarantined.map(
      ({ source, reason }) => `plugin ${source} is quarantined: ${reason}`,
    );
    if (scheduler.reason !== null) reasons.push(`scheduler: ${scheduler.reason}`);
    if (!(await this.dispatcher.isWorkerAlive())) {
      reasons.push('executions: no live host has the role worker, so they stay queued');
    }
    if (reasons.length === 0) return { status: 'healthy', ...summary };
    return { status: 'degraded', ...summary, reasons };
  }

  private sandboxPool(): HealthIndicatorResult {
    return this.indicators.check('sandbox').up({ ...this.sandbox.stats() });
  }

  /** A quarantined plugin degrades the host and never fails it. */
  private plugins(): HealthIndicatorResult {
    const { quarantined } = this.catalogue;
    return this.indicators.check('plugins').up({
      providers: this.catalogue.size,
      quarantined: quarantined.map(({ source, reason }) => ({ source, reason })),
    });
  }

  private queue(): HealthIndicatorResult {
    return this.indicators.check('executions').up({
      running: this.dispatcher.runningCount,
      roles: [...this.host.roles],
    });
  }

  /** A host without ticks still answers requests, and other hosts may fire: it is degraded. */
  private async scheduler(): Promise<HealthIndicatorResult> {
    const { isActive, reason } = await this.ticker.checkHealth();
    return this.indicators
      .check('scheduler')
      .up({ active: isActive, ...(reason !== null && { reason }) });
  }
}

function downReasons(error: unknown): string[] {
  if (!(error instanceof HttpException)) throw error;
  const { error: down = {} } = error.getResponse() as Partial<HealthCheckResult>;
  return Object.entries(down).map(
    ([name, detail]) =>
      `${name}: ${typeof detail?.['message'] === 'string' ? detail['message'] : 'down'}`,
  );
}
