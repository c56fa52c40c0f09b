import { createHash } from 'node:crypto';

import { Injectable } from '@nestjs/common';

import { AppError } from '../common/errors.js';
import { Database, type Tx } from '../database/database.js';
import { toExecutionView, type ExecutionView } from '../execution/execution-view.js';
import { RunDispatcher } from '../execution/run-dispatcher.js';
import { findExecution } from '../execution/sql/read-execution.js';
import { decideOverlap } from './overlap.js';
import { actAs, cancelRuns, insertRun, type Firing, type FiringSchedule } from './scheduled-run.js';
import { findKeyedRun } from './sql/find-keyed-run.js';
import { lockSchedule, type ScheduleKey } from './sql/lock-schedule.js';
import { readRunSources } from './sql/run-facts.js';
import { insertFire, listUnfinishedRuns, listWaiting } from './sql/schedule-fires.js';
import { findStopReason } from './stop-reason.js';

/** Runs that somebody asks a schedule for, between its own. */
@Injectable()
export class ManualRuns {
  constructor(
    private readonly database: Database,
    private readonly dispatcher: RunDispatcher,
  ) {}

  /**
   * Starts a run now, as the schedule would, also while it is paused.
   * @param key of the Idempotency-Key header; null when there was none
   * @throws AppError state.conflict when the schedule couldn't run or its overlap forbids it;
   *   idempotency.key_reused
   */
  async start(target: FiringSchedule, key: string | null): Promise<ExecutionView> {
    const { execution, cancelled } = await this.database.withTenant(actAs(target), async (tx) => {
      const schedule = await lockSchedule(tx, target, { skipLocked: false });
      if (schedule?.ownerId !== target.ownerId) {
        throw new AppError('state.conflict', 'the schedule was changed just now; try again');
      }
      const idempotency = key === null ? null : { key, requestHash: hashRun(target) };
      const earlier = idempotency && (await findKeyedRun(tx, { ...target, key: idempotency.key }));
      if (earlier) {
        if (earlier.requestHash !== idempotency.requestHash) throw keyReused();
        return { execution: await readExecution(tx, target, earlier.id), cancelled: [] };
      }
      const firing = { schedule, sources: await readRunSources(tx, target) };
      const cancelled = await makeRoom(tx, target, firing);
      const executionId = await insertRun(tx, firing, idempotency);
      const nominalAt = betweenSeconds(firing.sources.now);
      await insertFire(tx, target, { nominalAt, outcome: 'started', executionId, reason: null });
      return { execution: await readExecution(tx, target, executionId), cancelled };
    });
    for (const id of cancelled) this.dispatcher.abort(id);
    this.dispatcher.takeUp();
    return execution;
  }
}

/** @returns the runs that were cancelled for it */
async function makeRoom(tx: Tx, key: ScheduleKey, firing: Firing): Promise<string[]> {
  const stopped = findStopReason(firing.sources.facts);
  if (stopped) throw new AppError('state.conflict', `the schedule can't run: ${stopped.message}`);
  const unfinished = await listUnfinishedRuns(tx, key);
  const waiting = (await listWaiting(tx, key)).length;
  const { overlap } = firing.schedule;
  const decision = decideOverlap(overlap, { unfinished: unfinished.length, waiting });
  if (decision.start) return decision.cancelsOthers ? await cancelRuns(tx, key, unfinished) : [];
  throw new AppError(
    'state.conflict',
    `the run before it has not ended, and the schedule's overlap is "${overlap}"; wait for its end or cancel it`,
  );
}

async function readExecution(
  tx: Tx,
  key: ScheduleKey,
  executionId: string,
): Promise<ExecutionView> {
  const row = await findExecution(tx, { tenantId: key.tenantId, executionId });
  if (!row) throw new Error(`execution ${executionId} was stored but is not there`);
  return toExecutionView(row);
}

/** Schedules name whole seconds as a rule: a run by hand takes the place of none of those. */
function betweenSeconds(time: Date): Date {
  return time.getMilliseconds() === 0 ? new Date(time.getTime() + 1) : time;
}

function hashRun({ scheduleId }: ScheduleKey): string {
  return createHash('sha256').update(`run of schedule ${scheduleId}`).digest('hex');
}

function keyReused(): AppError {
  return new AppError(
    'idempotency.key_reused',
    'this Idempotency-Key was sent with another request before; use a new key for a new request',
  );
}
