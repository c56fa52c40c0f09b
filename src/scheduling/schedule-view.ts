import type { JsonValue } from '../common/json.js';
import type { ExecutionStatus } from '../execution/execution-status.js';
import { jitterMs } from './fire-times.js';
import { toLocalTime } from './local-time.js';
import type { FireOutcome } from './schedule-fire.entity.js';
import type { CatchUp, Overlap, Schedule, ScheduleStatus } from './schedule.entity.js';
import { toRunFacts } from './sql/run-facts.js';
import type { ScheduleRow } from './sql/read-schedules.js';
import { findStopReason, type StopReason } from './stop-reason.js';

/** A schedule as the API shows it. Times are ISO 8601 in UTC. */
export interface ScheduleView {
  id: string;
  plan_id: string;
  plan_name: string | null;
  cron: string | null;
  every_seconds: number | null;
  at: string | null;
  timezone: string;
  starts_at: string | null;
  ends_at: string | null;
  overlap: Overlap;
  catch_up: CatchUp;
  catch_up_seconds: number;
  jitter_seconds: number;
  input: JsonValue;
  status: ScheduleStatus;
  /** Why it stopped by itself. */
  error: StopReason | null;
  /** Id of the user that its runs act as. */
  run_as: string;
  next_run_at: string | null;
  last_run_at: string | null;
  /** Of the last run; null, too, for who may not see it. */
  last_status: ExecutionStatus | null;
  last_execution_id: string | null;
  /** The last time that came due, whatever came of it. */
  last_fire: { nominal_at: string; outcome: FireOutcome; reason: string | null } | null;
  created_at: string;
  updated_at: string;
}

/** One time that a schedule will fire. */
export interface FireTimeView {
  /** The time that the schedule names. */
  nominal_at: string;
  /** With jitter. */
  run_at: string;
  /** As clocks of its zone show it. */
  local: string;
  offset: string;
}

/** What can't run any more is told at once, not only when it comes due. */
export function toScheduleView({ schedule, facts, lastFire, lastRun }: ScheduleRow): ScheduleView {
  const stopped = schedule.status === 'active' ? findStopReason(toRunFacts(facts)) : null;
  return {
    id: schedule.id,
    plan_id: schedule.planId,
    plan_name: facts.plan_name,
    cron: schedule.cron,
    every_seconds: schedule.everySeconds,
    at: toText(schedule.at),
    timezone: schedule.timezone,
    starts_at: toText(schedule.startsAt),
    ends_at: toText(schedule.endsAt),
    overlap: schedule.overlap,
    catch_up: schedule.catchUp,
    catch_up_seconds: schedule.catchUpSeconds,
    jitter_seconds: schedule.jitterSeconds,
    input: schedule.input,
    status: stopped ? 'error' : schedule.status,
    error: stopped ?? schedule.error,
    run_as: schedule.ownerId,
    next_run_at: stopped ? null : toText(schedule.dueAt),
    last_run_at: toText(lastRun?.firedAt ?? null),
    last_status: lastRun?.status ?? null,
    last_execution_id: lastRun?.executionId ?? null,
    last_fire: lastFire && {
      nominal_at: lastFire.nominalAt.toISOString(),
      outcome: lastFire.outcome,
      reason: lastFire.reason,
    },
    created_at: schedule.createdAt.toISOString(),
    updated_at: schedule.updatedAt.toISOString(),
  };
}

export function toFireTimeView(schedule: Schedule, nominalAt: Date): FireTimeView {
  const runAt = new Date(nominalAt.getTime() + jitterMs(schedule.id, schedule.jitterSeconds));
  return {
    nominal_at: nominalAt.toISOString(),
    run_at: runAt.toISOString(),
    ...toLocalTime(nominalAt, schedule.timezone),
  };
}

function toText(time: Date | null): string | null {
  return time?.toISOString() ?? null;
}
