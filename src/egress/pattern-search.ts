/** Where a pattern stands in a text: `start` inclusive, `end` exclusive. */
export interface Span {
  start: number;
  end: number;
}

/**
 * Finds many byte patterns in one pass over a text (Aho and Corasick, 1975). The automaton holds the
 * first bytes of each pattern; past those a long one is followed on its own (Knuth, Morris and Pratt,
 * 1977), so that a secret of kilobytes costs no table of megabytes. The time is linear in the text,
 * whatever the text repeats.
 */
export class PatternSearch {
  /** Bytes that lead on from somewhere have a class of their own; the rest share 0, which leads nowhere. */
  readonly #classes = new Uint16Array(256);
  readonly #width: number;
  /** `state * width + class` -> state. */
  readonly #table: Int32Array;
  /** Twice the length of the longest whole pattern that ends in a state, plus 1 where a long one has begun. */
  readonly #marks: Int32Array;
  /** Patterns whose first bytes end in a state. */
  readonly #begun = new Map<number, LongPattern[]>();

  constructor(patterns: readonly Uint8Array[]) {
    const heads = patterns.map((pattern) => pattern.subarray(0, MAX_HEAD_BYTES));
    let width = 1;
    for (const byte of heads.flatMap((head) => [...head])) {
      if (this.#classes[byte] === 0) this.#classes[byte] = width++;
    }
    this.#width = width;
    const maxStates = heads.reduce((sum, head) => sum + head.length, 1);
    this.#table = new Int32Array(maxStates * width);
    this.#marks = new Int32Array(maxStates);
    const states = this.#addHeads(patterns, heads);
    this.#linkStates(states);
  }

  /** Every span of the text that holds a pattern; those that overlap are one. In order. */
  find(text: Uint8Array): Span[] {
    const spans: Span[] = [];
    const running: Run[] = [];
    const [classes, width, table, marks] = [this.#classes, this.#width, this.#table, this.#marks];
    let state = 0;
    for (let at = 0; at < text.length; at++) {
      const byte = text[at] ?? 0;
      state = table[state * width + (classes[byte] ?? 0)] ?? 0;
      const mark = marks[state] ?? 0;
      if (mark > 1) cover(spans, at + 1 - (mark >> 1), at + 1);
      if (running.length > 0) follow(running, byte, { spans, at });
      if ((mark & 1) === 0) continue;
      this.#begin(running, state);
      if (running.length <= MAX_RUNNING) continue;
      cover(spans, at + 1 - MAX_HEAD_BYTES, text.length);
      break;
    }
    return spans;
  }

  #begin(running: Run[], state: number): void {
    for (const pattern of this.#begun.get(state) ?? []) {
      if (!running.some((run) => run.pattern === pattern)) running.push(new Run(pattern));
    }
  }

  #addHeads(patterns: readonly Uint8Array[], heads: readonly Uint8Array[]): number {
    let states = 1;
    for (const [index, head] of heads.entries()) {
      let state = 0;
      for (const byte of head) {
        const place = state * this.#width + (this.#classes[byte] ?? 0);
        if (this.#table[place] === 0) this.#table[place] = states++;
        state = this.#table[place] ?? 0;
      }
      const pattern = patterns[index];
      if (pattern === undefined || pattern.length === head.length) {
        this.#marks[state] = (this.#marks[state] ?? 0) | (head.length << 1);
      } else {
        this.#marks[state] = (this.#marks[state] ?? 0) | 1;
        const begun = this.#begun.get(state) ?? [];
        this.#begun.set(state, [...begun, new LongPattern(pattern)]);
      }
    }
    return states;
  }

  /** Breadth first: whatever a state can't go on with, the longest end of it that begins a pattern can. */
  #linkStates(states: number): void {
    const table = this.#table;
    const width = this.#width;
    const fallback = new Int32Array(states);
    const queue = [0];
    for (let head = 0; head < queue.length; head++) {
      const state = queue[head] ?? 0;
      for (let symbol = 1; symbol < width; symbol++) {
        const next = table[state * width + symbol] ?? 0;
        const other = state === 0 ? 0 : (table[(fallback[state] ?? 0) * width + symbol] ?? 0);
        if (next === 0) {
          table[state * width + symbol] = other;
          continue;
        }
        fallback[next] = other;
        const own = this.#marks[next] ?? 0;
        if (own < 2) this.#marks[next] = own | (this.#marks[other] ?? 0);
        queue.push(next);
      }
    }
  }
}

/** Longer than most secrets in most of their forms. */
const MAX_HEAD_BYTES = 64;

/**
 * Long patterns followed at once. More are under way only in secrets made for it, and each costs time
 * for every byte: the rest of such a text is covered unread.
 */
const MAX_RUNNING = 32;

class LongPattern {
  #borders: Int32Array | null = null;

  constructor(readonly bytes: Uint8Array) {}

  /** Few patterns are ever begun, so each is prepared only then. */
  get borders(): Int32Array {
    return (this.#borders ??= bordersOf(this.bytes));
  }
}

/** A long pattern that is being followed through a text. */
class Run {
  /** How many of its first bytes end where the text is being read. */
  matched = MAX_HEAD_BYTES;

  constructor(readonly pattern: LongPattern) {}

  /** Reads one more byte of the text; whether the whole pattern ends with it. */
  read(byte: number): boolean {
    const { bytes, borders } = this.pattern;
    while (this.matched > 0 && bytes[this.matched] !== byte) {
      this.matched = borders[this.matched] ?? 0;
    }
    if (bytes[this.matched] === byte) this.matched++;
    return this.matched === bytes.length;
  }
}

/** For each length of a beginning, the length of its longest proper beginning that also ends it. */
function bordersOf(bytes: Uint8Array): Int32Array {
  const borders = new Int32Array(bytes.length + 1);
  let border = 0;
  for (let length = 2; length <= bytes.length; length++) {
    const byte = bytes[length - 1];
    while (border > 0 && bytes[border] !== byte) border = borders[border] ?? 0;
    if (bytes[border] === byte) border++;
    borders[length] = border;
  }
  return borders;
}

/** Leads on the patterns that are under way; one that falls back to its first bytes is the automaton's again. */
function follow(running: Run[], byte: number, { spans, at }: { spans: Span[]; at: number }): void {
  for (let index = running.length - 1; index >= 0; index--) {
    const run = running[index];
    if (run === undefined) continue;
    if (run.read(byte)) cover(spans, at + 1 - run.pattern.bytes.length, at + 1);
    if (run.matched < MAX_HEAD_BYTES) running.splice(index, 1);
  }
}

/** Spans come in the order of their ends, so that only the last ones can overlap the new one. */
function cover(spans: Span[], start: number, end: number): void {
  const final = spans.at(-1);
  if (final !== undefined && final.end > start && final.start <= start) {
    final.end = Math.max(final.end, end);
    return;
  }
  let from = start;
  for (let last = spans.at(-1); last !== undefined && last.end > start; last = spans.at(-1)) {
    from = Math.min(from, last.start);
    spans.pop();
  }
  spans.push({ start: from, end });
}
