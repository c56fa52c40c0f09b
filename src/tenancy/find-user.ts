import type { Ctx } from '../common/ctx.js';
import { isUuid } from '../common/ids.js';
import type { Tx } from '../database/database.js';
import { User } from './user.entity.js';

/** A user of the tenant by id or external id; an id wins over an external id that looks like one. */
export async function findUser(
  tx: Tx,
  ctx: Pick<Ctx, 'tenantId'>,
  name: string,
): Promise<User | null> {
  const { tenantId } = ctx;
  const byId = isUuid(name) ? await tx.findOneBy(User, { tenantId, id: name }) : null;
  return byId ?? (await tx.findOneBy(User, { tenantId, externalId: name }));
}
