import { COLLECTION_FUNCTIONS } from './collection-functions.js';
import type { ExpressionFunction } from './function-spec.js';
import { NUMBER_FUNCTIONS } from './number-functions.js';
import { TEXT_FUNCTIONS } from './text-functions.js';

/**
 * Every function that a declarative template may call, by name. The table is the documentation, too:
 * `usage` and `description` of each are written to be shown. A map, so that no name reaches a prototype.
 */
export const EXPRESSION_FUNCTIONS: ReadonlyMap<string, ExpressionFunction> = new Map(
  [...COLLECTION_FUNCTIONS, ...TEXT_FUNCTIONS, ...NUMBER_FUNCTIONS].map((listed) => [
    listed.name,
    listed,
  ]),
);
