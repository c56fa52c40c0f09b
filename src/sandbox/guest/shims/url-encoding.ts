import { binaryToBytes, binaryToUtf8, bytesToBinary, utf8ToBinary } from '../encoding.js';

/** Stands in for whatwg-url's own encoding module, which wants TextEncoder as a global before there is one. */
export function utf8Encode(text: string): Uint8Array {
  return binaryToBytes(utf8ToBinary(text));
}

export function utf8DecodeWithoutBOM(bytes: Uint8Array): string {
  return binaryToUtf8(bytesToBinary(bytes));
}
