import { Logger, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';

import { DatabaseAwayError } from '../common/connection-lost.js';
import { messageOf } from '../common/errors.js';
import type { WatchConnection } from './watch-connection.js';

/** Between two questions to a database that answers. */
const CALM_PAUSE_MS = 1_000;
/** And to one that doesn't: how soon its return is noticed. */
const AWAY_PAUSE_MS = 200;
/** A server that is silent for longer is as good as gone; hosts are declared dead after five seconds. */
const PATIENCE_MS = 3_000;
/** A timer that is this late tells of this process, not of the database. */
const LATE_MS = 500;

/**
 * Whether PostgreSQL answers: asked on a connection of its own, so that neither load nor a full pool looks
 * like an outage. While it is away everybody is told so at once, instead of each waiting for a connection
 * of their own to fail.
 */
export class DatabaseWatch implements OnModuleInit, OnApplicationShutdown {
  private readonly logger = new Logger('database');
  private readonly stopping = new AbortController();
  private readonly awayListeners: (() => void)[] = [];
  private readonly backListeners: (() => void)[] = [];
  private connection: WatchConnection | null = null;
  private awaySince: number | null = null;
  private awayMsBefore = 0;
  private outageCount = 0;
  private doubted: PromiseWithResolvers<undefined> | null = null;
  private wakeUp: () => void = () => undefined;
  private watching: Promise<void> | null = null;

  /** @param connect makes a connection that is opened by its first question */
  constructor(private readonly connect: () => WatchConnection) {}

  onModuleInit(): void {
    this.watching = this.watch();
  }

  get isAway(): boolean {
    return this.awaySince !== null;
  }

  /** Since this host began to watch. */
  get awaySeconds(): number {
    const nowMs = this.awaySince === null ? 0 : performance.now() - this.awaySince;
    return (this.awayMsBefore + nowMs) / 1_000;
  }

  get outages(): number {
    return this.outageCount;
  }

  /** @throws DatabaseAwayError */
  assertThere(): void {
    if (this.isAway) throw new DatabaseAwayError();
  }

  onAway(listener: () => void): void {
    this.awayListeners.push(listener);
  }

  onBack(listener: () => void): void {
    this.backListeners.push(listener);
  }

  /** Somebody's connection was lost: asks now instead of at the next turn. */
  doubt(): void {
    if (this.watching === null || this.hasStopped()) return;
    if (!this.isAway) this.doubted ??= Promise.withResolvers<undefined>();
    this.wakeUp();
  }

  /** Whether it is away; when there is doubt, as soon as that is known. */
  async confirmAway(): Promise<boolean> {
    await this.doubted?.promise;
    return this.isAway;
  }

  async onApplicationShutdown(): Promise<void> {
    this.stopping.abort();
    this.wakeUp();
    await this.watching;
    if (this.isAway) this.drop();
    else await this.connection?.end();
  }

  private async watch(): Promise<void> {
    while (!this.hasStopped()) {
      const failure = await this.findFailure();
      if (this.hasStopped()) break;
      if (failure === null) this.noteBack();
      else this.noteAway(failure);
      this.settleDoubt();
      await this.pause(this.isAway ? AWAY_PAUSE_MS : CALM_PAUSE_MS);
    }
    this.settleDoubt();
  }

  private hasStopped(): boolean {
    return this.stopping.signal.aborted;
  }

  private settleDoubt(): void {
    this.doubted?.resolve(undefined);
    this.doubted = null;
  }

  /** A connection may break although the server is there: only what also fails on a new one counts. */
  private async findFailure(): Promise<string | null> {
    const isOld = this.connection !== null;
    const first = await this.ask();
    if (first === null) return null;
    this.drop();
    if (!isOld || first === SILENT) return first;
    const second = await this.ask();
    if (second !== null) this.drop();
    return second;
  }

  /** @returns why there was no answer in time; null: there was one */
  private async ask(): Promise<string | null> {
    this.connection ??= this.connect();
    const answer = this.connection.ask().then(
      () => null,
      (error: unknown) => messageOf(error),
    );
    return await inTime(answer, this.stopping.signal);
  }

  private drop(): void {
    this.connection?.cutOff();
    this.connection = null;
  }

  private noteAway(reason: string): void {
    if (this.awaySince !== null) return;
    this.awaySince = performance.now();
    this.outageCount++;
    this.logger.error(`PostgreSQL is away: ${reason}; it is asked again five times a second`);
    for (const tell of this.awayListeners) tell();
  }

  private noteBack(): void {
    if (this.awaySince === null) return;
    const awayMs = performance.now() - this.awaySince;
    this.awayMsBefore += awayMs;
    this.awaySince = null;
    this.logger.warn(`PostgreSQL is back after ${(awayMs / 1_000).toFixed(1)} s`);
    for (const tell of this.backListeners) tell();
  }

  private async pause(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      timer.unref();
      this.wakeUp = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

const SILENT = 'it does not answer';

async function inTime(answer: Promise<string | null>, signal: AbortSignal): Promise<string | null> {
  let settled: { reason: string | null } | null = null;
  const settling = answer.then((reason) => {
    settled = { reason };
  });
  const outcome = (): { reason: string | null } | null => settled;
  for (;;) {
    const dueAt = performance.now() + PATIENCE_MS;
    await untilSettled(settling, signal);
    const lateMs = performance.now() - dueAt;
    // What arrived while this process stood still is read before it is called silence.
    await new Promise(setImmediate);
    const told = outcome();
    if (told) return told.reason;
    if (signal.aborted || lateMs < LATE_MS) return SILENT;
  }
}

async function untilSettled(settling: Promise<void>, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, PATIENCE_MS);
    timer.unref();
    signal.addEventListener('abort', done, { once: true });
    void settling.then(done);
  });
}
