import { utf8ToBinary } from '../encoding.js';

/**
 * "Percent-encode after encoding" of the URL standard, for UTF-8 alone: the kernel's URL parser is
 * never given another encoding.
 */
export function percentEncodeAfterEncoding(
  _encoding: string,
  input: string,
  encodeSet: string,
): string {
  let out = '';
  for (const byte of utf8ToBinary(input)) {
    const code = byte.charCodeAt(0);
    const encode = code <= 0x1f || code > 0x7e || encodeSet.includes(byte);
    out += encode ? `%${code.toString(16).toUpperCase().padStart(2, '0')}` : byte;
  }
  return out;
}
