import { DOMException } from './errors.js';
import { toText } from './primordials.js';

/** Base64 of a string whose characters are bytes (WHATWG HTML `btoa`). */
export function btoa(binary: string): string {
  const text = toText(binary);
  let out = '';
  for (let i = 0; i < text.length; i += 3) {
    const a = byteAt(text, i);
    const b = i + 1 < text.length ? byteAt(text, i + 1) : 0;
    const c = i + 2 < text.length ? byteAt(text, i + 2) : 0;
    out += ALPHABET.charAt(a >> 2) + ALPHABET.charAt(((a & 3) << 4) | (b >> 4));
    out += i + 1 < text.length ? ALPHABET.charAt(((b & 15) << 2) | (c >> 6)) : '=';
    out += i + 2 < text.length ? ALPHABET.charAt(c & 63) : '=';
  }
  return out;
}

/** The bytes behind a base64 text, forgiving about white space and missing padding (WHATWG Infra). */
export function atob(base64: string): string {
  let text = toText(base64).replace(/[\t\n\f\r ]+/g, '');
  if (text.length % 4 === 0) text = text.replace(/==?$/, '');
  if (text.length % 4 === 1 || /[^A-Za-z0-9+/]/.test(text)) {
    throw new DOMException('The string is not correctly encoded', 'InvalidCharacterError');
  }
  let out = '';
  let bits = 0;
  let held = 0;
  for (let i = 0; i < text.length; i++) {
    bits = ((bits << 6) | ALPHABET.indexOf(text.charAt(i))) & 0xffff;
    held += 6;
    if (held >= 8) {
      held -= 8;
      out += String.fromCharCode((bits >> held) & 0xff);
    }
  }
  return out;
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

function byteAt(text: string, index: number): number {
  const code = text.charCodeAt(index);
  if (code > 0xff) {
    throw new DOMException('The string has characters outside of Latin1', 'InvalidCharacterError');
  }
  return code;
}
