import type { JsonValue } from '@stepwell/plugin-sdk';

/** A body as JSON can hold it: parsed JSON, else text, else base64 with a note that says so. */
export function readBody(
  bytes: Uint8Array,
  contentType: string,
): { body: JsonValue; body_encoding?: 'base64' } {
  if (bytes.length === 0) return { body: null };
  const text = decode(bytes);
  if (text === null) return { body: toBase64(bytes), body_encoding: 'base64' };
  return { body: isJson(contentType) ? parseOrText(text) : text };
}

function decode(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** `application/json`, `application/problem+json` and their like (RFC 6839). */
function isJson(contentType: string): boolean {
  return /^[^;]*[/+]json\s*(;|$)/i.test(contentType);
}

/** Servers that call HTML error pages JSON shouldn't hide them. */
function parseOrText(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return text;
  }
}

function toBase64(bytes: Uint8Array): string {
  // In slices: one call with every byte as an argument would overflow the stack.
  const SLICE = 8192;
  let binary = '';
  for (let at = 0; at < bytes.length; at += SLICE) {
    binary += String.fromCharCode(...bytes.subarray(at, at + SLICE));
  }
  return btoa(binary);
}
