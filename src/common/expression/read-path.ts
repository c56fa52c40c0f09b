import { isJsonObject } from '../json.js';
import type { PathNode, PathSegment } from './ast.js';
import type { Evaluated } from './function-spec.js';

/** Where paths lead. `undefined` means: nothing is there. */
export interface Scope {
  resolve(path: PathNode): Evaluated;
}

/** A scope of plain values by root name, such as `{ input, credential }`. */
export function scopeOf(values: Readonly<Record<string, Evaluated>>): Scope {
  return {
    resolve: (path) => {
      const value = Object.hasOwn(values, path.root) ? values[path.root] : undefined;
      return readSegments(value, path.segments);
    },
  };
}

/** Walks own properties and array items from `value`; `from` skips segments already taken. */
export function readSegments(
  value: Evaluated,
  segments: readonly PathSegment[],
  from = 0,
): Evaluated {
  let node = value;
  for (let i = from; i < segments.length; i++) {
    const segment = segments[i] as PathSegment;
    if (Array.isArray(node)) node = segment.index < 0 ? undefined : node[segment.index];
    else if (isJsonObject(node))
      node = Object.hasOwn(node, segment.key) ? node[segment.key] : undefined;
    else return undefined;
  }
  return node;
}
