import { HttpException, Injectable } from '@nestjs/common';
import {
  HealthCheckService,
  HealthIndicatorService,
  type HealthCheckResult,
  type HealthIndicatorResult,
} from '@nestjs/terminus';

import { firstOf } from '../common/first-of.js';
import { DatabaseWatch } from '../database/database-watch.js';
import { IsolateSandbox } from '../sandbox/isolate/isolate-sandbox.js';
import { PluginCatalogue } from '../plugins/plugin-catalogue.js';
import { RunDispatcher } from '../execution/run-dispatcher.js';
import { ScheduleTicker, type SchedulerHealth } from '../scheduling/schedule-ticker.js';
import { ThisHost } from '../queue/this-host.js';

export interface HealthSummary {
  status: 'healthy' | 'degraded' | 'unhealthy';
  timestamp: string;
  scheduler: 'active' | 'inactive';
  /** Why it isn't healthy: one line for each. */
  reasons?: string[];
}

/** How long the database is waited for, which knows of other hosts. */
const OTHERS_TIMEOUT_MS = 500;

@Injectable()
export class HealthService {
  constructor(
    private readonly checks: HealthCheckService,
    private readonly indicators: HealthIndicatorService,
    private readonly watch: DatabaseWatch,
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
      () => this.database(),
      () => this.sandboxPool(),
      () => this.plugins(),
      () => this.queue(),
      () => this.scheduler(),
    ]);
  }

  async summarize(): Promise<HealthSummary> {
    const scheduler = await this.askScheduler();
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
    const isWorkerAlive = await firstOf(this.dispatcher.isWorkerAlive(), OTHERS_TIMEOUT_MS);
    if (isWorkerAlive === null) reasons.push(`executions: ${UNASKED}`);
    else if (!isWorkerAlive) {
      reasons.push('executions: no live host has the role worker, so they stay queued');
    }
    if (reasons.length === 0) return { status: 'healthy', ...summary };
    return { status: 'degraded', ...summary, reasons };
  }

  /** Asked of who watches it: on a connection of its own, so that a busy host is not called unready. */
  private database(): HealthIndicatorResult {
    const database = this.indicators.check('database');
    return this.watch.isAway ? database.down('PostgreSQL is away') : database.up();
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
    const { isActive, reason } = await this.askScheduler();
    return this.indicators
      .check('scheduler')
      .up({ active: isActive, ...(reason !== null && { reason }) });
  }

  private async askScheduler(): Promise<SchedulerHealth> {
    const health = await firstOf(this.ticker.checkHealth(), OTHERS_TIMEOUT_MS);
    return health ?? { isActive: false, reason: UNASKED };
  }
}

const UNASKED = "other hosts can't be asked: the database does not answer";

function downReasons(error: unknown): string[] {
  if (!(error instanceof HttpException)) throw error;
  const { error: down = {} } = error.getResponse() as Partial<HealthCheckResult>;
  return Object.entries(down).map(
    ([name, detail]) =>
      `${name}: ${typeof detail?.['message'] === 'string' ? detail['message'] : 'down'}`,
  );
}
