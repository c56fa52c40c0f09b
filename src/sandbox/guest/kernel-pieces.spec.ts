import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { atob, btoa } from './base64.js';
import { AbortController, AbortSignal } from './abort.js';
import { binaryToUtf8, bytesToBinary, TextDecoder, TextEncoder, utf8ToBinary } from './encoding.js';
import { Headers } from './headers.js';
import { CallRandom } from './random.js';
import { Request } from './request.js';
import { Response } from './response.js';
import { percentEncodeAfterEncoding } from './shims/percent-encode.js';
import { toASCII } from './shims/tr46.js';

/** Node's own, which this file compares with; the kernel is compiled without their types. */
interface NodeGlobals {
  URL: new (url: string) => { hostname: string; search: string };
  TextDecoder: new (
    label: string,
    options: { fatal: boolean; ignoreBOM: boolean },
  ) => { decode(bytes: Uint8Array): string };
  TextEncoder: new () => { encode(text: string): Uint8Array };
  atob(text: string): string;
  btoa(text: string): string;
}
const node = globalThis as unknown as NodeGlobals;

describe('encoding', () => {
  it('encodes UTF-8 as Node does, lone surrogates too', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(utf8ToBinary(text)).toBe(bytesToBinary(new node.TextEncoder().encode(text)));
      }),
    );
    expect(utf8ToBinary('a\ud800b')).toBe('a\u00ef\u00bf\u00bdb');
  });

  it('decodes any bytes as Node does', () => {
    const utf8ish = fc
      .uint8Array({ maxLength: 20 })
      .map((bytes) => bytes.map((byte) => (byte % 3 === 0 ? byte | 0x80 : byte)));
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 40 }), utf8ish), (bytes) => {
        const theirs = new node.TextDecoder('utf-8', { fatal: false, ignoreBOM: true }).decode(
          bytes,
        );
        expect(binaryToUtf8(bytesToBinary(bytes))).toBe(theirs);
      }),
      { numRuns: 2000 },
    );
  });

  it('decodes a stream that is cut anywhere', () => {
    const bytes = new TextEncoder().encode('\ufeffa\u00e9\u20ac\ud83d\ude00z');
    for (let cut = 0; cut <= bytes.length; cut++) {
      const decoder = new TextDecoder();
      const text =
        decoder.decode(bytes.subarray(0, cut), { stream: true }) +
        decoder.decode(bytes.subarray(cut));
      expect(text).toBe('a\u00e9\u20ac\ud83d\ude00z');
    }
    expect(() => new TextDecoder('utf-8', { fatal: true }).decode(new Uint8Array([0xff]))).toThrow(
      TypeError,
    );
    expect(() => new TextDecoder('utf-16le')).toThrow(RangeError);
  });

  it('does base64 as Node does', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const binary = bytesToBinary(bytes);
        expect(btoa(binary)).toBe(node.btoa(binary));
        expect(atob(btoa(binary))).toBe(binary);
      }),
    );
    expect(atob(' YQ ')).toBe('a');
    for (const bad of ['a', 'YQ=', 'Y!==', 'YQ===']) expect(() => atob(bad)).toThrow();
    expect(() => btoa('\u20ac')).toThrow();
  });
});

describe('URL shims', () => {
  it.each([
    'example.com',
    'EXAMPLE.com',
    'b\u00fccher.example',
    '\u4f8b\u3048.\u30c6\u30b9\u30c8',
    'a\u3002b',
    'fa\u00df.de',
    '\ud83d\ude00.test',
  ])('turns %s into what Node turns it into', (host) => {
    expect(toASCII(host)).toBe(new node.URL(`http://${host}/`).hostname);
  });

  it('percent-encodes a query as Node does', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const query = text.replace(/[#\t\n\r]/g, '');
        const ours = percentEncodeAfterEncoding('utf-8', `x${query}x`, ` "#<>'`);
        expect(`?${ours}`).toBe(new node.URL(`http://a.test/?x${query}x`).search);
      }),
    );
  });
});

describe('fetch objects', () => {
  it('keeps headers as the standard says', () => {
    const headers = new Headers([
      ['B', '1'],
      ['a', ' x '],
      ['b', '2'],
      ['Set-Cookie', 'p=1'],
      ['set-cookie', 'q=2'],
    ]);
    expect([...headers]).toEqual([
      ['a', 'x'],
      ['b', '1, 2'],
      ['set-cookie', 'p=1'],
      ['set-cookie', 'q=2'],
    ]);
    for (const [name, value] of [
      ['a b', '1'],
      ['a', 'x\r\ny: z'],
      ['', '1'],
      ['a', '\u20ac'],
    ] as const) {
      expect(() => {
        headers.set(name, value);
      }).toThrow(TypeError);
    }
  });

  it('reads each body once, and knows its type', async () => {
    const request = new Request('https://a.test/', { method: 'post', body: { a: '\u00e9' } });
    expect(request.method).toBe('POST');
    expect(request.headers.get('content-type')).toBe('application/json');
    expect(await request.clone().json()).toEqual({ a: '\u00e9' });
    expect(await request.text()).toBe('{"a":"\u00e9"}');
    await expect(request.text()).rejects.toThrow(TypeError);
    const response = new Response(new Uint8Array([0xef, 0xbb, 0xbf, 0x61]), { status: 201 });
    expect(response.ok).toBe(true);
    expect(await response.clone().bytes()).toEqual(new Uint8Array([0xef, 0xbb, 0xbf, 0x61]));
    expect(await response.text()).toBe('a');
    expect(() => new Request('https://a.test/', { body: 'x' })).toThrow(TypeError);
    for (const method of ['CONNECT', 'TRACE', 'a b', '']) {
      expect(() => new Request('https://a.test/', { method })).toThrow(TypeError);
    }
  });

  it('aborts once, for the first reason', () => {
    const [one, two] = [new AbortController(), new AbortController()];
    const any = AbortSignal.any([one.signal, two.signal]);
    const heard: unknown[] = [];
    any.addEventListener('abort', () => heard.push(any.reason));
    two.abort('second');
    one.abort('first');
    expect(heard).toEqual(['second']);
    expect(() => {
      any.throwIfAborted();
    }).toThrow('second');
  });
});

describe('CallRandom', () => {
  it('depends on the seed alone, and never repeats itself', () => {
    const [a, b, c] = [new CallRandom(), new CallRandom(), new CallRandom()];
    a.seed('x'.repeat(64));
    b.seed('x'.repeat(64));
    c.seed('y'.repeat(64));
    const first = a.bytes(200);
    expect(b.bytes(200)).toEqual(first);
    expect(c.bytes(200)).not.toEqual(first);
    expect(a.bytes(200)).not.toEqual(first);
    const counts = new Map<number, number>();
    for (const byte of a.bytes(20_000)) counts.set(byte, (counts.get(byte) ?? 0) + 1);
    expect(counts.size).toBe(256);
    expect(Math.max(...counts.values())).toBeLessThan(160);
  });
});
