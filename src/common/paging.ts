import { AppError } from './errors.js';
import { isUuid } from './ids.js';

export interface Page<T> {
  items: T[];
  nextCursor: string | null;
}

/** Lists are sorted by id, newest first; a cursor is the last id seen, opaque to clients. */
export function encodeCursor(lastId: string): string {
  return Buffer.from(lastId, 'utf8').toString('base64url');
}

/** @throws AppError request.invalid when it isn't one of ours. */
export function decodeCursor(cursor: string | undefined): string | null {
  if (cursor === undefined) return null;
  const id = Buffer.from(cursor, 'base64url').toString('utf8');
  if (isUuid(id)) return id;
  throw new AppError('request.invalid', 'cursor is not one that a list gave', {
    errors: [{ pointer: '/cursor', detail: 'use the next_cursor of the previous page' }],
  });
}

/** Turns `limit + 1` rows into a page. */
export function toPage<T extends { id: string }>(rows: T[], limit: number): Page<T> {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return { items, nextCursor: rows.length > limit && last ? encodeCursor(last.id) : null };
}
