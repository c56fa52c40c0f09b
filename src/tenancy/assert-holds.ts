import type { Ctx } from '../common/ctx.js';
import { AppError } from '../common/errors.js';
import type { Access } from './access.decorators.js';

/** @throws AppError auth.forbidden when the caller lacks what the route asks, or it asks nothing. */
export function assertHolds(ctx: Pick<Ctx, 'permissions'>, access: Access | undefined): void {
  if (access && !('permission' in access)) return;
  if (access && ctx.permissions.has(access.permission)) return;
  throw new AppError(
    'auth.forbidden',
    `this needs the permission ${access?.permission ?? 'of nobody'}`,
  );
}
