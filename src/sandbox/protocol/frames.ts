import { MAX_BODY_BYTES, MAX_HEADER_BYTES } from './frame-limits.js';

/**
 * A frame: `[u32 header length][u32 body length][header, JSON in UTF-8][body, raw]`, lengths
 * big-endian. Host and child both speak it over one socket.
 */
export interface Frame {
  header: string;
  body: Uint8Array;
}

/** The other side broke the framing: nothing that follows on that pipe can be trusted. */
export class FrameError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'FrameError';
  }
}

/**
 * The two buffers of a frame; written one after the other they are the frame.
 * @throws RangeError when header or body is over its cap.
 */
export function encodeFrame(header: string, body: Uint8Array = EMPTY): Uint8Array[] {
  const headerBytes = Buffer.byteLength(header);
  if (headerBytes > MAX_HEADER_BYTES) throw new RangeError('frame header is too large');
  if (body.byteLength > MAX_BODY_BYTES) throw new RangeError('frame body is too large');
  const head = Buffer.allocUnsafe(PREFIX_BYTES + headerBytes);
  head.writeUInt32BE(headerBytes, 0);
  head.writeUInt32BE(body.byteLength, 4);
  head.write(header, PREFIX_BYTES);
  return body.byteLength === 0 ? [head] : [head, body];
}

/**
 * Cuts a byte stream into frames. Lengths are checked before a byte is kept; what is kept grows by
 * doubling, so neither a huge announced length nor a stream of single bytes costs more than twice
 * the bytes that really came.
 */
export class FrameParser {
  private kept: Buffer = Buffer.alloc(0);
  private keptBytes = 0;
  private readonly utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

  /**
   * Takes the next chunk and gives each frame that it completes to `onFrame`.
   * @throws FrameError on a length over the cap or a header that isn't UTF-8.
   */
  push(chunk: Uint8Array, onFrame: (frame: Frame) => void): void {
    if (this.keptBytes === 0) {
      const incoming = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      const used = this.read(incoming, onFrame);
      this.keep(incoming.subarray(used));
      return;
    }
    this.keep(chunk);
    const used = this.read(this.kept.subarray(0, this.keptBytes), onFrame);
    if (used > 0) this.forget(used);
  }

  /** Bytes that wait for the rest of their frame. */
  get pendingBytes(): number {
    return this.keptBytes;
  }

  private read(bytes: Buffer, onFrame: (frame: Frame) => void): number {
    let offset = 0;
    while (bytes.byteLength - offset >= PREFIX_BYTES) {
      const headerBytes = bytes.readUInt32BE(offset);
      const bodyBytes = bytes.readUInt32BE(offset + 4);
      if (headerBytes > MAX_HEADER_BYTES) throw new FrameError('frame header is too large');
      if (bodyBytes > MAX_BODY_BYTES) throw new FrameError('frame body is too large');
      const headerStart = offset + PREFIX_BYTES;
      const bodyStart = headerStart + headerBytes;
      const end = bodyStart + bodyBytes;
      if (end > bytes.byteLength) break;
      // The body is copied: the buffer below it is reused, and a slice would pin all of it.
      const body = bodyBytes === 0 ? EMPTY : Uint8Array.prototype.slice.call(bytes, bodyStart, end);
      onFrame({ header: this.decode(bytes.subarray(headerStart, bodyStart)), body });
      offset = end;
    }
    return offset;
  }

  private decode(bytes: Uint8Array): string {
    try {
      return this.utf8.decode(bytes);
    } catch {
      throw new FrameError('frame header is not UTF-8');
    }
  }

  private keep(bytes: Uint8Array): void {
    const needed = this.keptBytes + bytes.byteLength;
    if (needed > this.kept.byteLength) {
      const grown = Buffer.allocUnsafe(Math.max(needed, this.kept.byteLength * 2));
      this.kept.copy(grown, 0, 0, this.keptBytes);
      this.kept = grown;
    }
    this.kept.set(bytes, this.keptBytes);
    this.keptBytes = needed;
  }

  private forget(used: number): void {
    this.kept.copyWithin(0, used, this.keptBytes);
    this.keptBytes -= used;
    if (this.keptBytes === 0) this.kept = EMPTY;
  }
}

const PREFIX_BYTES = 8;
const EMPTY = Buffer.alloc(0);
