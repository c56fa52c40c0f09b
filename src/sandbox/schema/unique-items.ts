import type { ErrorObject, FuncKeywordDefinition } from 'ajv/dist/2020.js';

import { canonicalJson } from '../../common/json.js';
import type { JsonValue } from '../../common/json.js';

/**
 * "uniqueItems" (JSON Schema Validation 2020-12, 6.4.3) in time linear in the size of the array. The
 * one of ajv compares each pair of items that aren't scalars: 9,000 small objects took it 400 ms.
 */
export const UNIQUE_ITEMS: FuncKeywordDefinition = {
  keyword: 'uniqueItems',
  type: 'array',
  schemaType: 'boolean',
  errors: true,
  compile(isWanted: boolean) {
    const validate: UniqueItemsCheck = (items: JsonValue[]) => {
      const pair = isWanted ? findEqualItems(items) : null;
      validate.errors = pair === null ? [] : [{ keyword: 'uniqueItems', params: pair }];
      return pair === null;
    };
    return validate;
  },
};

/** The indices of the first item that equals one before it, and of that one; null if there is none. */
export function findEqualItems(items: readonly JsonValue[]): { i: number; j: number } | null {
  const scalars = new Map<JsonValue, number>();
  const structures = new Map<string, number>();
  for (const [i, item] of items.entries()) {
    const isStructure = typeof item === 'object' && item !== null;
    // Two maps: the text of a structure may be an item, too.
    const j = isStructure
      ? seenBefore(structures, canonicalJson(item), i)
      : seenBefore(scalars, item, i);
    if (j !== undefined) return { i, j };
  }
  return null;
}

interface UniqueItemsCheck {
  (items: JsonValue[]): boolean;
  errors?: Partial<ErrorObject>[];
}

function seenBefore<K>(seen: Map<K, number>, key: K, index: number): number | undefined {
  const before = seen.get(key);
  if (before === undefined) seen.set(key, index);
  return before;
}
