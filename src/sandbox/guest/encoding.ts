import { toText } from './primordials.js';

/** Text and bytes. A "binary" string holds one byte per character: the form in which bodies cross the wall. */
export function utf8ToBinary(text: string): string {
  if (isAscii(text)) return text;
  let out = '';
  for (let i = 0; i < text.length; i++) {
    let point = text.charCodeAt(i);
    if (point < 0x80) {
      out += fromCharCode(point);
      continue;
    }
    if (point >= 0xd800 && point <= 0xdfff) {
      const next = i + 1 < text.length ? text.charCodeAt(i + 1) : 0;
      if (point <= 0xdbff && next >= 0xdc00 && next <= 0xdfff) {
        point = 0x10000 + ((point - 0xd800) << 10) + (next - 0xdc00);
        i++;
      } else point = 0xfffd;
    }
    if (point < 0x800) out += fromCharCode(0xc0 | (point >> 6), continuation(point));
    else if (point < 0x10000) {
      out += fromCharCode(0xe0 | (point >> 12), continuation(point >> 6), continuation(point));
    } else {
      out += fromCharCode(
        0xf0 | (point >> 18),
        continuation(point >> 12),
        continuation(point >> 6),
        continuation(point),
      );
    }
  }
  return out;
}

/** Decodes UTF-8 as WHATWG Encoding does: each maximal part of a bad sequence becomes U+FFFD. */
export function binaryToUtf8(binary: string, fatal = false): string {
  if (isAscii(binary)) return binary;
  let out = '';
  let run = 0;
  let i = 0;
  while (i < binary.length) {
    const lead = binary.charCodeAt(i);
    if (lead < 0x80) {
      i++;
      continue;
    }
    out += binary.slice(run, i);
    const { point, length } = decodeAt(binary, i, lead);
    if (point < 0 && fatal) throw new TypeError('The encoded data was not valid UTF-8');
    out += point < 0 ? '\ufffd' : String.fromCodePoint(point);
    i += length;
    run = i;
  }
  return out + binary.slice(run);
}

/** How many bytes at the end may be the start of a sequence that the next chunk completes. */
export function incompleteTail(binary: string): number {
  for (let back = 1; back <= 3 && back <= binary.length; back++) {
    const byte = binary.charCodeAt(binary.length - back);
    if (byte < 0x80) return 0;
    if (byte >= 0xc0) return sequenceLength(byte) > back ? back : 0;
  }
  return 0;
}

export function bytesToBinary(bytes: Uint8Array): string {
  let out = '';
  for (let i = 0; i < bytes.length; i += CHUNK) {
    out += Reflect.apply(
      fromCharCode,
      undefined,
      bytes.subarray(i, i + CHUNK) as unknown as number[],
    );
  }
  return out;
}

export function binaryToBytes(binary: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** The bytes that a buffer or a view shows. */
export function viewBytes(data: unknown): Uint8Array | null {
  if (data instanceof Uint8Array) return data;
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  if (ArrayBuffer.isView(data))
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return null;
}

export class TextEncoder {
  readonly encoding: string = 'utf-8';

  encode(text = ''): Uint8Array {
    return binaryToBytes(utf8ToBinary(toText(text)));
  }

  encodeInto(text: string, target: Uint8Array): { read: number; written: number } {
    let read = 0;
    let written = 0;
    for (const character of text) {
      const bytes = binaryToBytes(utf8ToBinary(character));
      if (written + bytes.length > target.length) break;
      target.set(bytes, written);
      written += bytes.length;
      read += character.length;
    }
    return { read, written };
  }
}

export class TextDecoder {
  readonly encoding: string = 'utf-8';
  readonly fatal: boolean;
  readonly ignoreBOM: boolean;
  #kept = '';
  #started = false;

  constructor(label = 'utf-8', options: { fatal?: boolean; ignoreBOM?: boolean } = {}) {
    const name = toText(label).trim().toLowerCase();
    if (name !== 'utf-8' && name !== 'utf8' && name !== 'unicode-1-1-utf-8') {
      throw new RangeError(`The encoding "${name}" is not supported`);
    }
    this.fatal = options.fatal === true;
    this.ignoreBOM = options.ignoreBOM === true;
  }

  decode(data?: Uint8Array | ArrayBuffer, options: { stream?: boolean } = {}): string {
    const bytes = data === undefined ? new Uint8Array(0) : viewBytes(data);
    if (bytes === null) throw new TypeError('TextDecoder.decode takes a buffer or a view');
    let binary = this.#kept + bytesToBinary(bytes);
    const tail = options.stream === true ? incompleteTail(binary) : 0;
    this.#kept = binary.slice(binary.length - tail);
    binary = binary.slice(0, binary.length - tail);
    let text = binaryToUtf8(binary, this.fatal);
    if (!this.#started && text !== '') {
      if (!this.ignoreBOM && text.charCodeAt(0) === 0xfeff) text = text.slice(1);
      this.#started = true;
    }
    if (options.stream !== true) this.#started = false;
    return text;
  }
}

const { fromCharCode } = String;
const CHUNK = 8192;
// The regular expression engine scans for this faster than a loop does.
const NON_ASCII = /[^\u0000-\u007f]/;

function isAscii(text: string): boolean {
  return !NON_ASCII.test(text);
}

function continuation(bits: number): number {
  return 0x80 | (bits & 0x3f);
}

function sequenceLength(lead: number): number {
  if (lead >= 0xc2 && lead <= 0xdf) return 2;
  if (lead >= 0xe0 && lead <= 0xef) return 3;
  if (lead >= 0xf0 && lead <= 0xf4) return 4;
  return 0;
}

/** One code point, or -1 with the number of bytes that the error covers. */
function decodeAt(binary: string, at: number, lead: number): { point: number; length: number } {
  const needed = sequenceLength(lead);
  if (needed === 0) return { point: -1, length: 1 };
  let point = lead & (0x7f >> needed);
  for (let k = 1; k < needed; k++) {
    const byte = at + k < binary.length ? binary.charCodeAt(at + k) : 0;
    const low = k > 1 ? 0x80 : lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
    const high = k > 1 ? 0xbf : lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
    if (byte < low || byte > high) return { point: -1, length: k };
    point = (point << 6) | (byte & 0x3f);
  }
  return { point, length: needed };
}
