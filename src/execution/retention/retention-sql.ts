import type { Database } from '../../database/database.js';

/** Executions in one transaction; fewer when they have many attempts. */
const EXECUTIONS = 200;
const LOGS = 5_000;

type Query = Pick<Database, 'query'>;

/** Makes the partitions of this week and the next four. */
export async function makeWeeks(database: Query): Promise<void> {
  await database.query('select make_log_weeks()');
}

/** A batch of a tenant's executions that have to go; `lastId` is null when there was none. */
export async function expireExecutions(
  database: Query,
  { tenantId, days, after }: { tenantId: string; days: number | null; after: string },
): Promise<{ executions: number; logs: number; lastId: string | null }> {
  const [batch] = await database.query<{
    executions: number;
    logs: number;
    last_id: string | null;
  }>('select * from expire_executions($1, $2, $3, $4)', [tenantId, days, after, EXECUTIONS]);
  return {
    executions: batch?.executions ?? 0,
    logs: batch?.logs ?? 0,
    lastId: batch?.last_id ?? null,
  };
}

/** Mondays of weeks all of which has to go, and whether nothing keeps them. */
export async function listExpiredWeeks(
  database: Query,
  days: number | null,
): Promise<{ week: string; isFree: boolean }[]> {
  return await database.query(
    'select week::text as week, is_free as "isFree" from expired_log_weeks($1)',
    [days],
  );
}

/** False: it is in use just now, or something keeps it again. */
export async function dropWeek(
  database: Query,
  week: string,
  days: number | null,
): Promise<boolean> {
  try {
    const [row] = await database.query<{ dropped: boolean }>(
      'select drop_log_week($1, $2) as dropped',
      [week, days],
    );
    return row?.dropped ?? false;
  } catch (error) {
    if (isInUse(error)) return false;
    throw error;
  }
}

/** Takes rows without an execution out of an expired week. @returns how many, 0 when there are none left */
export async function sweepWeek(
  database: Query,
  week: string,
  days: number | null,
): Promise<number> {
  const [row] = await database.query<{ swept: number }>(
    'select sweep_log_week($1, $2, $3) as swept',
    [week, days, LOGS],
  );
  return row?.swept ?? 0;
}

/** lock_not_available and deadlock_detected: whoever has it goes first. */
function isInUse(error: unknown): boolean {
  const code = (error as { driverError?: { code?: string } }).driverError?.code;
  return code === '55P03' || code === '40P01';
}
