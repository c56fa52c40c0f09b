import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { MAX_BODY_BYTES, MAX_HEADER_BYTES } from './frame-limits.js';
import { encodeFrame, FrameError, FrameParser, type Frame } from './frames.js';

function parseInPieces(bytes: Uint8Array, sizes: number[]): Frame[] {
  const parser = new FrameParser();
  const frames: Frame[] = [];
  let offset = 0;
  for (let i = 0; offset < bytes.length; i++) {
    const size = sizes[i % sizes.length] ?? 1;
    // A copy of its own, overwritten afterwards: what the parser gave out must not change.
    const chunk = Uint8Array.from(bytes.subarray(offset, offset + size));
    parser.push(chunk, (frame) => frames.push(frame));
    chunk.fill(0xaa);
    offset += size;
  }
  expect(parser.pendingBytes).toBe(0);
  return frames;
}

describe('FrameParser', () => {
  it('gives back every frame, however the bytes are cut', () => {
    const frame = fc.record({
      header: fc.string({ unit: 'binary', maxLength: 300 }).filter((text) => text.isWellFormed()),
      body: fc.uint8Array({ maxLength: 3000 }),
    });
    const sizes = fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 8 }), sizes, (frames, cuts) => {
        const bytes = Buffer.concat(
          frames.flatMap(({ header, body }) => encodeFrame(header, body)),
        );
        const parsed = parseInPieces(bytes, cuts);
        expect(parsed.map(({ header }) => header)).toEqual(frames.map(({ header }) => header));
        parsed.forEach(({ body }, i) => {
          expect(Buffer.compare(body, frames[i]?.body ?? new Uint8Array())).toBe(0);
        });
      }),
      { numRuns: 100 },
    );
  });

  it('either parses or throws FrameError on any bytes, and keeps no more than came', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 20 }), (chunks) => {
        const parser = new FrameParser();
        let total = 0;
        try {
          for (const chunk of chunks) {
            total += chunk.length;
            parser.push(chunk, () => undefined);
            expect(parser.pendingBytes).toBeLessThanOrEqual(total);
          }
        } catch (error) {
          expect(error).toBeInstanceOf(FrameError);
        }
      }),
      { numRuns: 300 },
    );
  });

  it.each([
    ['header', 0, MAX_HEADER_BYTES + 1],
    ['header', 0, 2 ** 31],
    ['body', 4, MAX_BODY_BYTES + 1],
    ['body', 4, 2 ** 32 - 1],
  ])(
    'refuses a %s that is announced too large before a byte of it came',
    (_part, offset, length) => {
      const prefix = Buffer.alloc(8);
      prefix.writeUInt32BE(length, offset);
      expect(() => {
        new FrameParser().push(prefix, () => undefined);
      }).toThrow(FrameError);
    },
  );

  it('takes the largest frame in single bytes and in large pieces, in linear time', () => {
    const body = new Uint8Array(MAX_BODY_BYTES).fill(7);
    const bytes = Buffer.concat(encodeFrame('{}', body));
    expect(parseInPieces(bytes, [64 * 1024])[0]?.body.length).toBe(MAX_BODY_BYTES);
    const time = (length: number): number => {
      const frame = Buffer.concat(encodeFrame('{}', body.subarray(0, length)));
      const began = performance.now();
      expect(parseInPieces(frame, [1])[0]?.body.length).toBe(length);
      return performance.now() - began;
    };
    let few = 0;
    for (let i = 0; i < 5; i++) few += time(50_000);
    // 1.6 times the bytes; were it quadratic, 12.8 times the work.
    expect(time(400_000) / few).toBeLessThan(8);
  });

  it('refuses to make a frame that the other side would refuse', () => {
    expect(() => encodeFrame('x'.repeat(MAX_HEADER_BYTES + 1))).toThrow(RangeError);
    expect(() => encodeFrame('', new Uint8Array(MAX_BODY_BYTES + 1))).toThrow(RangeError);
  });
});
