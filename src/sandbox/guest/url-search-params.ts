import { parseUrlencodedString, serializeUrlencoded } from 'whatwg-url/lib/urlencoded.js';

import { pairsOf } from './headers.js';
import { toText } from './primordials.js';

/** WHATWG URLSearchParams: an ordered list of pairs, tied to the URL that it came from. */
export class URLSearchParams {
  #pairs: [name: string, value: string][];
  #onChange: ((query: string) => void) | null = null;

  constructor(init: unknown = '') {
    if (typeof init === 'object') this.#pairs = pairsOf(init);
    else {
      const text = toText(init);
      this.#pairs = parseUrlencodedString(text.startsWith('?') ? text.slice(1) : text);
    }
  }

  /** The parameters of a URL: what changes here is written back through `onChange`. */
  static ofUrl(query: string, onChange: (query: string) => void): URLSearchParams {
    const params = new URLSearchParams();
    params.#pairs = parseUrlencodedString(query);
    params.#onChange = onChange;
    return params;
  }

  /** Takes over the query of a URL that was changed from elsewhere. */
  static refill(params: URLSearchParams, query: string): void {
    params.#pairs = parseUrlencodedString(query);
  }

  get size(): number {
    return this.#pairs.length;
  }

  append(name: string, value: string): void {
    this.#pairs.push([toText(name), toText(value)]);
    this.#changed();
  }

  delete(name: string, value?: string): void {
    this.#pairs = this.#pairs.filter(
      ([known, held]) => known !== toText(name) || (value !== undefined && held !== toText(value)),
    );
    this.#changed();
  }

  get(name: string): string | null {
    return this.#pairs.find(([known]) => known === toText(name))?.[1] ?? null;
  }

  getAll(name: string): string[] {
    return this.#pairs.filter(([known]) => known === toText(name)).map(([, value]) => value);
  }

  has(name: string, value?: string): boolean {
    return this.#pairs.some(
      ([known, held]) => known === toText(name) && (value === undefined || held === toText(value)),
    );
  }

  set(name: string, value: string): void {
    const first = this.#pairs.findIndex(([known]) => known === toText(name));
    if (first === -1) this.#pairs.push([toText(name), toText(value)]);
    else {
      this.#pairs = this.#pairs.filter(([known], i) => i === first || known !== toText(name));
      this.#pairs[first] = [toText(name), toText(value)];
    }
    this.#changed();
  }

  sort(): void {
    this.#pairs.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    this.#changed();
  }

  forEach(callback: (value: string, name: string, params: URLSearchParams) => void): void {
    for (const [name, value] of this) callback(value, name, this);
  }

  *entries(): Generator<[string, string], undefined> {
    for (const [name, value] of this.#pairs) yield [name, value];
  }

  *keys(): Generator<string, undefined> {
    for (const [name] of this.#pairs) yield name;
  }

  *values(): Generator<string, undefined> {
    for (const [, value] of this.#pairs) yield value;
  }

  [Symbol.iterator](): Generator<[string, string], undefined> {
    return this.entries();
  }

  toString(): string {
    return serializeUrlencoded(this.#pairs);
  }

  #changed(): void {
    this.#onChange?.(this.toString());
  }
}
