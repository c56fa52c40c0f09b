import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';

import type { Clock } from '../common/clock.js';
import type { HostRole } from '../config/host-roles.js';
import type { Database } from '../database/database.js';
import type { RunDispatcher } from '../execution/run-dispatcher.js';
import { ThisHost } from '../queue/this-host.js';
import type { FiringSchedule } from './scheduled-run.js';
import type { ScheduleFiring } from './schedule-firing.js';
import { ScheduleTicker } from './schedule-ticker.js';
import type { SimpleFires } from './simple-fires.js';

describe('the tick', () => {
  // It tells of the failures that these tests make.
  beforeAll(() => {
    Logger.overrideLogger(false);
  });
  afterAll(() => {
    Logger.overrideLogger(['log', 'warn', 'error', 'fatal', 'debug', 'verbose']);
  });

  it('is active while it works, and tells since when it has not', async () => {
    const world = new World();
    const ticker = world.ticker();
    expect(ticker.health()).toEqual({ isActive: false, reason: 'no tick yet' });
    await ticker.onApplicationBootstrap();
    // Who is up has ticked: nobody sees a fresh host as a sick one.
    expect(ticker.health()).toEqual({ isActive: true, reason: null });
    world.failure = new Error('the database is away');
    for (let second = 0; second < 5; second++) await world.passSecond();
    expect(ticker.health().isActive).toBe(true);
    await world.passSecond();
    expect(ticker.health()).toEqual({
      isActive: false,
      reason: 'no tick worked for 6 s: the database is away',
    });
    world.failure = null;
    await world.passSecond();
    expect(ticker.health()).toEqual({ isActive: true, reason: null });
    const stopped = ticker.beforeApplicationShutdown();
    expect(ticker.health()).toEqual({ isActive: false, reason: 'the host stops' });
    await stopped;
  });

  it('rests on a host without its role, which then says whether others tick', async () => {
    const world = new World();
    const ticker = world.ticker(['api', 'worker']);
    world.due = ['a'];
    await ticker.onApplicationBootstrap();
    await world.passSecond();
    expect(world.fired).toEqual([]);
    expect(await ticker.checkHealth()).toEqual({
      isActive: false,
      reason: 'no live host with the role scheduler ticks',
    });
    world.othersTick = true;
    expect(await ticker.checkHealth()).toEqual({ isActive: true, reason: null });
    world.failure = new Error('the database is away');
    expect(await ticker.checkHealth()).toEqual({
      isActive: false,
      reason: "other hosts can't be asked: the database is away",
    });
    await ticker.beforeApplicationShutdown();
  });

  it('fires what is due, tells once that runs were queued, and lets no failure hold up others', async () => {
    const world = new World();
    const ticker = world.ticker();
    world.due = ['a', 'broken', 'b'];
    await ticker.onApplicationBootstrap();
    await world.passSecond();
    expect(world.fired).toEqual(['a', 'broken', 'b']);
    expect(world.takenUp).toBe(1);
    expect(ticker.health().isActive).toBe(true);
    await ticker.beforeApplicationShutdown();
  });

  it('fires together what may, and each by itself when that fails', async () => {
    const world = new World();
    const ticker = world.ticker();
    world.due = ['a', 'b', 'c'];
    world.simple = new Set(['a', 'c']);
    await ticker.onApplicationBootstrap();
    await world.passSecond();
    expect(world.firedTogether).toEqual([['a', 'c']]);
    expect(world.fired).toEqual(['b']);
    expect(world.takenUp).toBe(1);
    world.due = ['a', 'b', 'c'];
    world.simple = null;
    await world.passSecond();
    expect(world.fired).toEqual(['b', 'a', 'b', 'c']);
    expect(ticker.health().isActive).toBe(true);
    await ticker.beforeApplicationShutdown();
  });

  it('does not ask again within the second for what another host fires', async () => {
    const world = new World();
    const ticker = world.ticker();
    // As many as are asked for at once, and all of them gone when they are to fire.
    world.due = Array.from({ length: 1_000 }, (_, n) => String(n));
    world.simple = new Set(world.due);
    world.isTaken = true;
    await ticker.onApplicationBootstrap();
    await world.passSecond();
    expect(world.asked).toBe(1);
    expect(world.takenUp).toBe(0);
    await ticker.beforeApplicationShutdown();
  });
});

/** A database that answers as it is told, and a clock that goes on when it is told. */
class World {
  due: string[] = [];
  failure: Error | null = null;
  readonly fired: string[] = [];
  readonly firedTogether: string[][] = [];
  /** Those that fire together; null: trying to fails. */
  simple: Set<string> | null = new Set();
  /** Another host fires those at this moment. */
  isTaken = false;
  asked = 0;
  takenUp = 0;
  othersTick = false;
  private nowMs = 0;
  private wake: () => void = () => undefined;

  ticker(roles: HostRole[] = ['scheduler']): ScheduleTicker {
    const database = {
      query: (sql: string) => {
        if (this.failure) return Promise.reject(this.failure);
        if (sql.includes('is_scheduler_ticking'))
          return Promise.resolve([{ ticks: this.othersTick }]);
        if (sql.includes('say_ticked')) return Promise.resolve([]);
        this.asked++;
        const rows = this.due.map((id) => ({ schedule_id: id }));
        this.due = [];
        return Promise.resolve(rows);
      },
    };
    const simple = {
      fire: (due: FiringSchedule[]) => {
        const { simple: chosen } = this;
        if (!chosen) return Promise.reject(new Error('no'));
        const [fired, rest] = [true, false].map((isChosen) =>
          due.filter(({ scheduleId }) => chosen.has(scheduleId) === isChosen),
        ) as [FiringSchedule[], FiringSchedule[]];
        if (fired.length > 0) this.firedTogether.push(fired.map((one) => one.scheduleId));
        return Promise.resolve({ started: this.isTaken ? 0 : fired.length, rest });
      },
    };
    const firing = {
      fireDue: ({ scheduleId }: FiringSchedule) => {
        this.fired.push(scheduleId);
        return scheduleId === 'broken' ? Promise.reject(new Error('no')) : Promise.resolve(1);
      },
    };
    const dispatcher = {
      takeUp: () => {
        this.takenUp++;
      },
    };
    const clock: Clock = {
      now: () => this.nowMs,
      monotonic: () => this.nowMs,
      sleep: (_, signal) =>
        new Promise((resolve) => {
          this.wake = resolve;
          signal?.addEventListener('abort', () => {
            resolve();
          });
        }),
    };
    return new ScheduleTicker(
      database as unknown as Database,
      simple as unknown as SimpleFires,
      firing as unknown as ScheduleFiring,
      dispatcher as unknown as RunDispatcher,
      new ThisHost(roles),
      clock,
    );
  }

  /** One second, and all that it sets off. */
  async passSecond(): Promise<void> {
    this.nowMs += 1_000;
    this.wake();
    await new Promise((done) => setImmediate(done));
  }
}
