import { isJsonObject, isStorable, pointerToken, type JsonValue } from '../../common/json.js';
import type { IntakeProblem } from './intake-error.js';

/** Each text or key that PostgreSQL's jsonb has no place for: `register_plugin` would fail over it. */
export function findTextProblems(value: JsonValue, at = ''): IntakeProblem[] {
  if (isStorable(value)) return [];
  if (Array.isArray(value)) {
    return value.flatMap((item, index) => findTextProblems(item, `${at}/${String(index)}`));
  }
  if (!isJsonObject(value)) return [{ pointer: at, detail: DETAIL }];
  return Object.entries(value).flatMap(([key, child]) => {
    const pointer = `${at}/${pointerToken(key)}`;
    return isStorable(key) ? findTextProblems(child, pointer) : [{ pointer, detail: DETAIL }];
  });
}

const DETAIL = 'holds a NUL character or half a surrogate pair, which is no text: leave it out';
