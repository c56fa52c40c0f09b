import { Injectable, Logger } from '@nestjs/common';

import { messageOf } from '../common/errors.js';
import { Database, type Tx } from '../database/database.js';
import { RunDispatcher } from '../execution/run-dispatcher.js';
import { findDueTimes, type DueTimes } from './due-times.js';
import { jitterMs, withJitter } from './fire-times.js';
import { decideOverlap } from './overlap.js';
import type { Schedule } from './schedule.entity.js';
import { actAs, cancelRuns, insertRun, type Firing, type FiringSchedule } from './scheduled-run.js';
import { lockSchedule, type ScheduleKey } from './sql/lock-schedule.js';
import { advanceSchedule, stopSchedule } from './sql/move-schedule.js';
import { readRunSources } from './sql/run-facts.js';
import {
  insertFire,
  listFired,
  listUnfinishedRuns,
  listWaiting,
  pruneFires,
  startWaiting,
} from './sql/schedule-fires.js';
import { findStopReason, type StopReason } from './stop-reason.js';

/** Ids of executions. */
interface Fired {
  started: string[];
  cancelled: string[];
}

/** Turns times that came due into runs: one transaction per schedule, all of it or nothing. */
@Injectable()
export class ScheduleFiring {
  private readonly logger = new Logger('scheduling');

  constructor(
    private readonly database: Database,
    private readonly dispatcher: RunDispatcher,
  ) {}

  /**
   * Fires what is due of a schedule as its run-as user: each time once, whichever hosts try. Does
   * nothing while another host has it. A schedule that can't run stops, and says why in its row.
   * @returns how many runs it queued
   */
  async fireDue(due: FiringSchedule): Promise<number> {
    const done = await this.database.withTenant(actAs(due), async (tx) => {
      const schedule = await lockSchedule(tx, due, { skipLocked: true });
      if (schedule?.ownerId !== due.ownerId || !isFiring(schedule)) return null;
      const sources = await readRunSources(tx, due);
      const times = findTimes(schedule, sources.now);
      const reason = findStopReason(sources.facts);
      if (reason) return await stop(tx, schedule, reason);
      if ('code' in times) return await stop(tx, schedule, times);
      return await fireTimes(tx, { schedule, sources, times });
    });
    if (done === null) return 0;
    if ('code' in done) {
      const fields = { schedule_id: due.scheduleId, tenant_id: due.tenantId, ...done };
      this.logger.warn(fields, 'a schedule stopped');
      return 0;
    }
    for (const id of done.cancelled) this.dispatcher.abort(id);
    return done.started.length;
  }
}

async function stop(tx: Tx, schedule: Schedule, reason: StopReason): Promise<StopReason> {
  await stopSchedule(tx, schedule, reason);
  return reason;
}

async function fireTimes(tx: Tx, firing: Firing & { times: DueTimes }): Promise<Fired> {
  const { schedule, times } = firing;
  const key = { tenantId: schedule.tenantId, scheduleId: schedule.id };
  const done: Fired = { started: [], cancelled: [] };
  let unfinished = await listUnfinishedRuns(tx, key);
  const waiting = await listWaiting(tx, key);
  const start = async (): Promise<string> => {
    const executionId = await insertRun(tx, firing, null);
    done.started.push(executionId);
    unfinished.push(executionId);
    return executionId;
  };

  const first = waiting[0];
  if (first && unfinished.length === 0) {
    await startWaiting(tx, key, { nominalAt: first, executionId: await start() });
    waiting.shift();
  }
  if (schedule.nextFireAt && times.hasMissed) await recordMissed(tx, key, schedule.nextFireAt);
  const fired = await listFired(tx, key, times.fire);
  for (const nominalAt of times.fire.filter((time) => !fired.has(time.getTime()))) {
    const before = { unfinished: unfinished.length, waiting: waiting.length };
    const decision = decideOverlap(schedule.overlap, before);
    if (!decision.start) {
      const outcome = decision.waits ? 'waiting' : 'skipped';
      await insertFire(tx, key, { nominalAt, outcome, executionId: null, reason: decision.reason });
      if (decision.waits) waiting.push(nominalAt);
      continue;
    }
    if (decision.cancelsOthers) {
      const cancelled = await cancelRuns(tx, key, unfinished);
      done.cancelled.push(...cancelled);
      unfinished = unfinished.filter((id) => !cancelled.includes(id));
    }
    const executionId = await start();
    await insertFire(tx, key, { nominalAt, outcome: 'started', executionId, reason: null });
  }
  await advanceSchedule(tx, schedule, withJitter(schedule, times.next));
  await pruneFires(tx, key, unfinished);
  return done;
}

/** One row stands for all that were missed in a row. */
async function recordMissed(tx: Tx, key: ScheduleKey, oldest: Date): Promise<void> {
  if ((await listFired(tx, key, [oldest])).size > 0) return;
  const reason =
    'no host ran when it came due; later ones up to the next fire may be missing as well';
  await insertFire(tx, key, { nominalAt: oldest, outcome: 'missed', executionId: null, reason });
}

/** What is due now, or why nobody can say: zones come and go with the host's own tables. */
function findTimes(schedule: Schedule, now: Date): DueTimes | StopReason {
  const { nextFireAt, dueAt } = schedule;
  if (!nextFireAt || !dueAt || dueAt > now) {
    return { fire: [], hasMissed: false, next: nextFireAt };
  }
  try {
    return findDueTimes(
      {
        timing: schedule,
        nextFireAt,
        jitterMs: jitterMs(schedule.id, schedule.jitterSeconds),
        catchUp: schedule.catchUp,
        catchUpSeconds: schedule.catchUpSeconds,
      },
      now,
    );
  } catch (error) {
    return { code: 'schedule.invalid', message: `its times can't be told: ${messageOf(error)}` };
  }
}

/** One that has ended may have times that still wait. */
function isFiring({ status }: Schedule): boolean {
  return status === 'active' || status === 'ended';
}
