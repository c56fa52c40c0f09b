import { isJsonObject } from '../common/json.js';
import type { JsonValue } from '../common/json.js';
import { PatternSearch } from './pattern-search.js';
import { secretForms } from './secret-forms.js';

/** What stands in a secret's place. */
export const REDACTED = '[redacted]';

/**
 * Takes secrets out of whatever is about to be shown or stored, in each form that secretForms knows.
 * Where forms overlap, all that they cover goes. A text without any of them stays as it is.
 *
 * It is also an oracle: who can send a text through it learns whether it holds a secret as a whole.
 * That helps nobody to find one that can't be guessed.
 */
export class Redactor {
  readonly #secrets: readonly string[];
  #search: { patterns: PatternSearch; minBytes: number } | null = null;
  #nameForms: readonly string[] | null = null;

  /** @param secrets texts of at least MIN_SECRET_CHARS; shorter ones are left out */
  constructor(secrets: Iterable<string> = []) {
    this.#secrets = [...new Set(secrets)];
  }

  get isEmpty(): boolean {
    return this.#secrets.length === 0;
  }

  /** @returns the same array when there is nothing to redact */
  redactBytes(bytes: Uint8Array): Uint8Array {
    if (this.isEmpty) return bytes;
    const search = (this.#search ??= searchFor(this.#secrets));
    if (bytes.length < search.minBytes) return bytes;
    const spans = search.patterns.find(bytes);
    if (spans.length === 0) return bytes;
    const redacted = Buffer.alloc(
      spans.reduce((size, { start, end }) => size + REDACTED.length + start - end, bytes.length),
    );
    let read = 0;
    let written = 0;
    for (const { start, end } of spans) {
      redacted.set(bytes.subarray(read, start), written);
      written += start - read;
      written += redacted.write(REDACTED, written, 'latin1');
      read = end;
    }
    redacted.set(bytes.subarray(read), written);
    return redacted;
  }

  /** Reads the text as UTF-8; unpaired surrogates of a text that held a secret become U+FFFD. */
  redactText(text: string): string {
    if (this.isEmpty) return text;
    const bytes = Buffer.from(text);
    const redacted = this.redactBytes(bytes);
    return redacted === bytes ? text : Buffer.from(redacted).toString();
  }

  /** Whether the name of a header, in lower case as HTTP gives it to us, holds a secret. */
  isInHeaderName(name: string): boolean {
    this.#nameForms ??= this.#secrets.flatMap(secretForms).map(lowerCase);
    return this.#nameForms.some((form) => name.includes(form));
  }

  /** Texts and keys at any depth; a number that spells a secret becomes a text. */
  redactJson(value: JsonValue): JsonValue {
    if (this.isEmpty) return value;
    if (typeof value === 'string') return this.redactText(value);
    if (typeof value === 'number') {
      const text = String(value);
      const redacted = this.redactText(text);
      return redacted === text ? value : redacted;
    }
    if (Array.isArray(value)) return value.map((item) => this.redactJson(item));
    if (!isJsonObject(value)) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, child]) => [this.redactText(key), this.redactJson(child)]),
    );
  }
}

function lowerCase(form: Uint8Array): string {
  return Buffer.from(form).toString('latin1').toLowerCase();
}

function searchFor(secrets: readonly string[]): { patterns: PatternSearch; minBytes: number } {
  const forms = secrets.flatMap(secretForms);
  const minBytes = forms.reduce((least, { length }) => Math.min(least, length), Infinity);
  return { patterns: new PatternSearch(forms), minBytes };
}
