import type { Ctx } from '../common/ctx.js';
import { AppError } from '../common/errors.js';
import { isUuid } from '../common/ids.js';

/**
 * Older clients name the user in the query or body, as `user_id`: an id or external id. It is taken
 * out, so that no route has to know it.
 * @returns the name of someone else; null when nobody or the caller is named.
 * @throws AppError request.invalid when it is no text, or query and body name different users.
 */
export function takeUserId(ctx: Ctx, request: { query: unknown; body: unknown }): string | null {
  const names = [take(request.query), take(request.body)]
    .filter((name) => name !== null)
    .map((name) => (isCaller(ctx, name) ? ctx.userId : name));
  const [name = ctx.userId, second = name] = names;
  if (second !== name) {
    throw new AppError('request.invalid', 'user_id of the query and of the body differ', {
      errors: [{ pointer: '/user_id', detail: 'send it once' }],
    });
  }
  return name === ctx.userId ? null : name;
}

/** An id is the same in upper case. */
function isCaller(ctx: Ctx, name: string): boolean {
  return name === ctx.externalUserId || (isUuid(name) && name.toLowerCase() === ctx.userId);
}

function take(fields: unknown): string | null {
  if (typeof fields !== 'object' || fields === null || !Object.hasOwn(fields, 'user_id')) {
    return null;
  }
  const holder = fields as { user_id?: unknown };
  const { user_id: name } = holder;
  if (typeof name !== 'string') {
    throw new AppError('request.invalid', 'user_id must be a text', {
      errors: [{ pointer: '/user_id', detail: 'send one id or external id, or leave it out' }],
    });
  }
  delete holder.user_id;
  return name;
}
