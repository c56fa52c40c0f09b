import { kMaxLength } from 'node:buffer';
import { promisify } from 'node:util';
import {
  brotliDecompress,
  constants,
  gunzip,
  inflate,
  inflateRaw,
  zstdDecompress,
} from 'node:zlib';

import { HostCallError } from '../sandbox/sandbox.js';
import { errorCode } from './error-code.js';

/** What egress asks for and can undo. */
export const ACCEPTED_ENCODINGS = 'gzip, deflate, br, zstd';

/**
 * Decompresses a whole response body. Bytes were counted as they came in and are again as they are
 * decompressed, so neither an endless answer nor a bomb takes more than twice the limit.
 * @returns the body; `isDecoded` is false when its encoding is none of ours and it is as received
 * @throws HostCallError `egress.response_too_large`, or `egress.failed` when it can't be decompressed
 */
export async function decodeBody(
  received: Buffer,
  options: { encoding: string; limitBytes: number; host: string },
): Promise<{ body: Uint8Array; isDecoded: boolean }> {
  const codings = readCodings(options.encoding);
  if (received.length === 0 || codings.length === 0) return { body: received, isDecoded: false };
  if (codings.length > MAX_CODINGS) throw undecodable(options);
  let body = received;
  for (const coding of codings.reverse()) {
    const decode = DECODERS.get(coding);
    if (decode === undefined) return { body: received, isDecoded: false };
    body = await decodeWithin(body, decode, options);
  }
  return { body, isDecoded: true };
}

/** Refuses by the announced length, before any byte of the body is read. */
export function assertAnnouncedLength(
  contentLength: string | undefined,
  limits: { limitBytes: number; host: string },
): void {
  if (contentLength !== undefined && Number(contentLength) > limits.limitBytes)
    throw tooLarge(limits);
}

/** What a caller can do about it, too. */
export function tooLarge({
  limitBytes,
  host,
}: {
  limitBytes: number;
  host: string;
}): HostCallError {
  return new HostCallError(
    'egress.response_too_large',
    `the response of "${host}" is larger than ${String(limitBytes)} bytes; ask for less, for instance with paging`,
    { limitBytes, sent: true },
  );
}

type Decode = (body: Buffer, maxOutputLength: number) => Promise<Buffer>;

/** Real servers use one; each further layer multiplies the work that a bomb can cause. */
const MAX_CODINGS = 2;

/** 8 MiB: what RFC 8878 says that decoders should accept; more is a way to spend our memory. */
const ZSTD_WINDOW_LOG_MAX = 23;

const gunzipAsync = promisify(gunzip);
const inflateAsync = promisify(inflate);
const inflateRawAsync = promisify(inflateRaw);
const brotliAsync = promisify(brotliDecompress);
const zstdAsync = promisify(zstdDecompress);

const decodeGzip: Decode = async (body, maxOutputLength) => gunzipAsync(body, { maxOutputLength });
const DECODERS = new Map<string, Decode>([
  ['gzip', decodeGzip],
  ['x-gzip', decodeGzip],
  ['deflate', decodeDeflate],
  ['br', async (body, maxOutputLength) => brotliAsync(body, { maxOutputLength })],
  [
    'zstd',
    async (body, maxOutputLength) =>
      zstdAsync(body, {
        maxOutputLength,
        params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG_MAX },
      }),
  ],
]);

/** "deflate" is zlib's format (RFC 9110, 8.4.1.2), yet some servers send the bare one. */
async function decodeDeflate(body: Buffer, maxOutputLength: number): Promise<Buffer> {
  const hasZlibHeader = ((body[0] ?? 0) & 0x0f) === 8;
  return (hasZlibHeader ? inflateAsync : inflateRawAsync)(body, { maxOutputLength });
}

async function decodeWithin(
  body: Buffer,
  decode: Decode,
  options: { encoding: string; limitBytes: number; host: string },
): Promise<Buffer> {
  try {
    return await decode(body, Math.min(options.limitBytes, kMaxLength));
  } catch (error) {
    throw errorCode(error) === 'ERR_BUFFER_TOO_LARGE' ? tooLarge(options) : undecodable(options);
  }
}

function readCodings(encoding: string): string[] {
  return encoding
    .split(',')
    .map((coding) => coding.trim().toLowerCase())
    .filter((coding) => coding !== '' && coding !== 'identity');
}

function undecodable({ encoding, host }: { encoding: string; host: string }): HostCallError {
  return new HostCallError(
    'egress.failed',
    `the response of "${host}" can't be decompressed as its content-encoding says`,
    { reason: 'content_encoding', encoding: encoding.slice(0, 64), sent: true },
  );
}
