import type { Problem } from '../common/errors.js';
import { invalidRequest } from '../common/http/validation.pipe.js';
import { nextFireTime, parseCron, type Timing } from './fire-times.js';
import { isTimeZone } from './local-time.js';
import type { PutScheduleDto } from './schedule.dto.js';
import type { Schedule } from './schedule.entity.js';

/** What somebody says of a schedule. */
export type ScheduleContent = Timing &
  Pick<Schedule, 'overlap' | 'catchUp' | 'catchUpSeconds' | 'jitterSeconds' | 'input'>;

const DEFAULT_CATCH_UP_SECONDS = 86_400;

/**
 * Reads the body of a request, with defaults for what it leaves out.
 * @throws AppError request.invalid with every problem, each naming its field.
 */
export function readScheduleContent(body: PutScheduleDto, now: Date): ScheduleContent {
  const startsAt = toDate(body.starts_at);
  const timing: Timing = {
    cron: body.cron?.trim() ?? null,
    everySeconds: body.every_seconds ?? null,
    at: toDate(body.at),
    timezone: body.timezone ?? 'UTC',
    anchorAt: startsAt ?? wholeSecond(now),
    startsAt,
    endsAt: toDate(body.ends_at),
  };
  const problems = findProblems(timing, now);
  if (problems.length > 0) throw invalidRequest(problems);
  return {
    ...timing,
    overlap: body.overlap ?? 'skip',
    // One moment that nobody was there for would be lost for good.
    catchUp: body.catch_up ?? (timing.at ? 'last' : 'none'),
    catchUpSeconds: body.catch_up_seconds ?? DEFAULT_CATCH_UP_SECONDS,
    jitterSeconds: body.jitter_seconds ?? 0,
    input: body.input ?? {},
  };
}

function findProblems(timing: Timing, now: Date): Problem[] {
  const given = (['cron', 'everySeconds', 'at'] as const).filter((key) => timing[key] !== null);
  if (given.length !== 1) {
    const detail = 'give exactly one of cron, every_seconds and at';
    const fields = given.length === 0 ? ['cron'] : given.map((key) => POINTERS[key]);
    return fields.map((field) => ({ pointer: `/${field}`, detail }));
  }
  const problems = [...zoneProblems(timing), ...windowProblems(timing, now)];
  if (timing.at && timing.at <= now) {
    problems.push({ pointer: '/at', detail: `at must be later than now (${now.toISOString()})` });
  }
  if (timing.cron !== null && problems.length === 0) problems.push(...cronProblems(timing, now));
  if (problems.length > 0 || nextFireTime(timing, now)) return problems;
  return [neverFires(timing)];
}

const POINTERS = { cron: 'cron', everySeconds: 'every_seconds', at: 'at' } as const;

function zoneProblems({ timezone }: Timing): Problem[] {
  if (isTimeZone(timezone)) return [];
  const detail = `timezone must be an IANA name such as Europe/Berlin; "${timezone}" isn't known`;
  return [{ pointer: '/timezone', detail }];
}

function windowProblems({ at, startsAt, endsAt }: Timing, now: Date): Problem[] {
  const problems: Problem[] = [];
  for (const [field, time] of [
    ['starts_at', startsAt],
    ['ends_at', endsAt],
  ] as const) {
    if (at && time) {
      const detail = `${field} has no meaning beside at, which is one moment; leave it out`;
      problems.push({ pointer: `/${field}`, detail });
    }
  }
  if (at) return problems;
  if (startsAt && endsAt && startsAt >= endsAt) {
    problems.push({ pointer: '/ends_at', detail: 'ends_at must be later than starts_at' });
  } else if (endsAt && endsAt <= now) {
    const detail = `ends_at must be later than now (${now.toISOString()})`;
    problems.push({ pointer: '/ends_at', detail });
  }
  return problems;
}

function cronProblems(timing: Timing, now: Date): Problem[] {
  const cron = timing.cron ?? '';
  // croner also takes a date and nicknames, which are not what this field promises.
  if (!/^\S+(\s+\S+){4,5}$/.test(cron)) {
    const detail =
      'cron must have 5 fields (minute hour day month weekday), or 6 with seconds in front, such as "30 9 * * 1-5"';
    return [{ pointer: '/cron', detail }];
  }
  try {
    parseCron(timing);
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/^CronPattern: /, '') : '';
    return [{ pointer: '/cron', detail: `cron can't be read: ${reason}` }];
  }
  const ever = nextFireTime({ ...timing, startsAt: null, endsAt: null }, now);
  return ever ? [] : [neverFires({ ...timing, startsAt: null, endsAt: null })];
}

/** When nothing else is wrong with it, the window holds no time. */
function neverFires(timing: Timing): Problem {
  const field = timing.cron === null ? 'every_seconds' : 'cron';
  const where = timing.startsAt || timing.endsAt ? 'between starts_at and ends_at' : 'again';
  return {
    pointer: `/${field}`,
    detail: `${field} never fires ${where}; choose times that come`,
  };
}

function wholeSecond(time: Date): Date {
  return new Date(Math.floor(time.getTime() / 1000) * 1000);
}

function toDate(text: string | null | undefined): Date | null {
  return text === undefined || text === null ? null : new Date(text);
}
