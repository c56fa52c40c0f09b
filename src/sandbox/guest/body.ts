import { binaryToBytes, binaryToUtf8, bytesToBinary, utf8ToBinary, viewBytes } from './encoding.js';
import { URLSearchParams } from './url-search-params.js';
import { promiseOf, toText } from './primordials.js';

/** A body as it crosses the wall, and the content type that its source implies. */
export interface BodySource {
  binary: string;
  contentType: string | null;
}

/**
 * What fetch takes as a body: text, bytes, form parameters; beyond the standard, a plain object or
 * list is sent as JSON, where the standard would send "[object Object]".
 */
export function readBodyInit(init: unknown): BodySource | null {
  if (init === undefined || init === null) return null;
  const bytes = viewBytes(init);
  if (bytes !== null) return { binary: bytesToBinary(bytes), contentType: null };
  if (init instanceof URLSearchParams) {
    return {
      binary: utf8ToBinary(init.toString()),
      contentType: 'application/x-www-form-urlencoded;charset=UTF-8',
    };
  }
  if (typeof init === 'object' && isPlain(init)) {
    return { binary: utf8ToBinary(JSON.stringify(init)), contentType: 'application/json' };
  }
  return { binary: utf8ToBinary(toText(init)), contentType: 'text/plain;charset=UTF-8' };
}

/** The reading half of Request and Response. A body is read once. */
export abstract class Body {
  #binary: string | null;
  #used = false;

  protected constructor(binary: string | null) {
    this.#binary = binary;
  }

  get bodyUsed(): boolean {
    return this.#used;
  }

  text(): Promise<string> {
    return promiseOf(() => this.#readText());
  }

  json(): Promise<unknown> {
    return promiseOf(() => JSON.parse(this.#readText()) as unknown);
  }

  bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return promiseOf(() => binaryToBytes(this.#take()));
  }

  arrayBuffer(): Promise<ArrayBuffer> {
    return promiseOf(() => binaryToBytes(this.#take()).buffer);
  }

  /** The body for a copy of the whole message; null when there is none. */
  protected peek(): string | null {
    if (this.#used) throw new TypeError('Body has already been used');
    return this.#binary;
  }

  #readText(): string {
    const text = binaryToUtf8(this.#take());
    return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  }

  #take(): string {
    if (this.#used) throw new TypeError('Body has already been used');
    if (this.#binary === null) return '';
    this.#used = true;
    const binary = this.#binary;
    this.#binary = null;
    return binary;
  }
}

function isPlain(value: object): boolean {
  if (Array.isArray(value)) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
