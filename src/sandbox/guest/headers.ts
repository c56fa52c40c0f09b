import { toText } from './primordials.js';

/** Fetch Headers: names in lower case, values of one name joined, iterated in order of name. */
export class Headers {
  #entries: [name: string, value: string][] = [];

  constructor(init?: unknown) {
    for (const [name, value] of pairsOf(init)) this.append(name, value);
  }

  append(name: string, value: string): void {
    this.#entries.push([headerName(name), headerValue(value)]);
  }

  set(name: string, value: string): void {
    this.delete(name);
    this.append(name, value);
  }

  delete(name: string): void {
    const key = headerName(name);
    this.#entries = this.#entries.filter(([known]) => known !== key);
  }

  get(name: string): string | null {
    const key = headerName(name);
    const values = this.#entries.filter(([known]) => known === key).map(([, value]) => value);
    return values.length === 0 ? null : values.join(', ');
  }

  getSetCookie(): string[] {
    return this.#entries.filter(([name]) => name === 'set-cookie').map(([, value]) => value);
  }

  has(name: string): boolean {
    const key = headerName(name);
    return this.#entries.some(([known]) => known === key);
  }

  forEach(callback: (value: string, name: string, headers: Headers) => void): void {
    for (const [name, value] of this) callback(value, name, this);
  }

  *entries(): Generator<[string, string], undefined> {
    for (const name of [...new Set(this.#entries.map(([known]) => known))].sort()) {
      if (name === 'set-cookie') for (const value of this.getSetCookie()) yield [name, value];
      else yield [name, this.get(name) ?? ''];
    }
  }

  *keys(): Generator<string, undefined> {
    for (const [name] of this.entries()) yield name;
  }

  *values(): Generator<string, undefined> {
    for (const [, value] of this.entries()) yield value;
  }

  [Symbol.iterator](): Generator<[string, string], undefined> {
    return this.entries();
  }
}

/** Every shape in which fetch takes headers or query parameters, as pairs of strings. */
export function pairsOf(init: unknown): [string, string][] {
  if (init === undefined || init === null) return [];
  if (typeof init !== 'object') throw new TypeError('expected an object or a list of pairs');
  if (Symbol.iterator in init) {
    return Array.from(init as Iterable<unknown>, (pair) => {
      const [name, value, ...rest] = Array.from(pair as Iterable<unknown>);
      if (rest.length > 0 || value === undefined)
        throw new TypeError('expected pairs of name and value');
      return [toText(name), toText(value)];
    });
  }
  return Object.entries(init).map(([name, value]) => [name, toText(value)]);
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const FORBIDDEN_IN_VALUE = /[^\t\u0020-\u007e\u0080-\u00ff]/;

function headerName(name: string): string {
  const text = toText(name);
  if (!TOKEN.test(text)) throw new TypeError(`Invalid header name: ${text.slice(0, 100)}`);
  return text.toLowerCase();
}

function headerValue(value: string): string {
  const text = toText(value).replace(/^[\t\n\r ]+|[\t\n\r ]+$/g, '');
  if (FORBIDDEN_IN_VALUE.test(text)) throw new TypeError('Invalid header value');
  return text;
}
