import type { Tx } from '../../database/database.js';
import { ExecutionLog } from '../execution-log.entity.js';
import { Execution } from '../execution.entity.js';

export interface ExecutionKey {
  tenantId: string;
  executionId: string;
}

export async function findExecution(tx: Tx, key: ExecutionKey): Promise<Execution | null> {
  return await tx
    .createQueryBuilder(Execution, 'e')
    .where('e.tenantId = :tenantId and e.id = :executionId', key)
    .getOne();
}

/** The journal of an execution, in the order of attempts. */
export async function listJournal(tx: Tx, key: ExecutionKey): Promise<ExecutionLog[]> {
  return await tx
    .createQueryBuilder(ExecutionLog, 'l')
    .where('l.tenantId = :tenantId and l.executionId = :executionId', key)
    .orderBy('l.attempt', 'ASC')
    .addOrderBy('l.id', 'ASC')
    .getMany();
}
