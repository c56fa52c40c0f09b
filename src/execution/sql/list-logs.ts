import type { Tx } from '../../database/database.js';
import type { ExecutionLog } from '../execution-log.entity.js';

export interface LogFilter {
  planId?: string | undefined;
  executionId?: string | undefined;
  provider?: string | undefined;
  status?: EndStatus | undefined;
  /** ISO 8601, of when the attempt ended; the first one counts. */
  from?: string | undefined;
  /** ISO 8601; this one no longer counts. */
  to?: string | undefined;
}

export type EndStatus = 'success' | 'error';

/** Where one row of a list stands: lists go back in time from there. */
export interface LogPlace {
  /** When the attempt ended, microseconds since 1970: as exactly as it is stored. */
  endedUs: string;
  id: string;
}

/** What a list shows of an attempt. */
export type ListedLog = LogPlace & Pick<ExecutionLog, (typeof FIELDS)[number][1]>;

/**
 * Attempts that have ended, the last first. Only what is asked for stands in the statement, and each
 * status is asked for alone: so there is always an index from whose end a page is read, in every
 * partition, however few rows match. Rows of one execution are found by the key, all in one partition,
 * before anything is put in order: no index of a list may look better to the planner.
 */
export async function listLogs(
  tx: Tx,
  query: { tenantId: string; filter: LogFilter; after: LogPlace | null; limit: number },
): Promise<ListedLog[]> {
  const params: unknown[] = [query.tenantId, query.limit];
  const param = (value: unknown): string => `$${String(params.push(value))}`;
  const where = whatIsAsked(query, param).join(' and ');
  const { executionId, status } = query.filter;
  const statuses = status ? [status] : ['success', 'error'];
  const rows =
    executionId === undefined
      ? statuses
          .map((one) => `(${logsWhere(`${where} and l.status = ${param(one)}`)} ${NEWEST_FIRST})`)
          .join(' union all ')
      : logsWhere(
          `l.tenant_id = $1 and l.execution_id = ${param(executionId)} and l.status = any (${param(statuses)})`,
        );
  return await tx.query<ListedLog[]>(
    `with found as materialized (${rows})
     select ${COLUMNS}, (extract(epoch from l.finished_at) * 1000000)::bigint as "endedUs"
       from found l where ${where} ${NEWEST_FIRST}`,
    params,
  );
}

const FIELDS = [
  ['id', 'id'],
  ['execution_id', 'executionId'],
  ['plan_id', 'planId'],
  ['step_id', 'stepId'],
  ['iteration', 'iteration'],
  ['provider', 'provider'],
  ['action', 'action'],
  ['status', 'status'],
  ['attempt', 'attempt'],
  ['latency_ms', 'latencyMs'],
  ['started_at', 'startedAt'],
  ['finished_at', 'finishedAt'],
  ['input', 'input'],
  ['output', 'output'],
  ['error', 'error'],
  ['input_blob', 'inputBlob'],
  ['output_blob', 'outputBlob'],
] as const;

const COLUMNS = FIELDS.map(([column, field]) => `l.${column} as "${field}"`).join();
const NEWEST_FIRST = 'order by l.finished_at desc, l.id desc limit $2';

function logsWhere(conditions: string): string {
  return `select l.* from execution_logs l where ${conditions}`;
}

function whatIsAsked(
  { filter, after }: { filter: LogFilter; after: LogPlace | null },
  param: (value: unknown) => string,
): string[] {
  const { planId, provider, from, to } = filter;
  return [
    'l.tenant_id = $1',
    ...(planId === undefined ? [] : [`l.plan_id = ${param(planId)}`]),
    ...(provider === undefined ? [] : [`l.provider = ${param(provider)}`]),
    ...(from === undefined ? [] : [`l.finished_at >= ${param(from)}::timestamptz`]),
    ...(to === undefined ? [] : [`l.finished_at < ${param(to)}::timestamptz`]),
    ...(after
      ? [
          `(l.finished_at, l.id) < ('epoch'::timestamptz + ${param(after.endedUs)}::bigint * interval '1 microsecond', ${param(after.id)}::uuid)`,
        ]
      : []),
  ];
}
