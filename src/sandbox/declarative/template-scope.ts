import type { PathNode } from '../../common/expression/ast.js';
import type { Evaluated } from '../../common/expression/function-spec.js';
import { readSegments } from '../../common/expression/read-path.js';
import type { Scope } from '../../common/expression/read-path.js';
import type { JsonValue } from '../../common/json.js';

/** One turn of a `$each`. */
interface Turn {
  readonly name: string;
  item: JsonValue;
  index: number;
}

/** The values that a template's names stand for: those of the call, then those of each `$each` around. */
export class TemplateScope implements Scope {
  private readonly turns: Turn[] = [];

  constructor(readonly values: Readonly<Record<string, Evaluated>>) {}

  resolve({ root, segments }: PathNode): Evaluated {
    return readSegments(this.read(root), segments);
  }

  /** Runs `visit` for each item, with the item and its index in scope. */
  each(name: string, items: readonly JsonValue[], visit: () => void): void {
    const turn: Turn = { name, item: null, index: 0 };
    this.turns.push(turn);
    for (const item of items) {
      turn.item = item;
      visit();
      turn.index++;
    }
    this.turns.pop();
  }

  private read(root: string): Evaluated {
    for (let i = this.turns.length - 1; i >= 0; i--) {
      const turn = this.turns[i] as Turn;
      if (root === turn.name) return turn.item;
      if (root === 'index') return turn.index;
    }
    return Object.hasOwn(this.values, root) ? this.values[root] : undefined;
  }
}
