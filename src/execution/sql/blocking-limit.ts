import type { Tx } from '../../database/database.js';
import { LIMIT_KINDS, type LimitKind } from '../limits/limit-kinds.js';

/** A limit that lets no more begin. */
export interface BlockingLimit {
  kind: LimitKind;
  subject: string;
}

/** The limit that keeps a queued execution of the transaction's tenant waiting; null: none does. */
export async function findBlockingLimit(
  tx: Tx,
  executionId: string,
): Promise<BlockingLimit | null> {
  const [row] = await tx.query<{ demand: string | null }[]>('select blocking_limit($1) as demand', [
    executionId,
  ]);
  const [name = '', ...subject] = row?.demand?.split(':') ?? [];
  const kind = LIMIT_KINDS.find((one) => one === name);
  return kind ? { kind, subject: subject.join(':') } : null;
}
