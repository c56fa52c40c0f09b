/**
 * The globals of a plugin beside ECMAScript itself: what the isolate has, and nothing more, so that
 * `process`, `document` or `WebSocket` are type errors before they are run-time errors. A plugin asks
 * for them with `"types": ["@stepwell/plugin-sdk/globals"]` in its tsconfig and leaves DOM and Node
 * out. Shapes follow WHATWG URL, Fetch, Encoding and DOM, and W3C Web Crypto, cut to what is there.
 */
import type { HashName } from './crypto.js';

declare global {
  /** WHATWG URL. */
  class URL {
    constructor(url: string | URL, base?: string | URL);
    static canParse(url: string | URL, base?: string | URL): boolean;
    readonly origin: string;
    readonly searchParams: URLSearchParams;
    href: string;
    protocol: string;
    username: string;
    password: string;
    host: string;
    hostname: string;
    port: string;
    pathname: string;
    search: string;
    hash: string;
    toString(): string;
    toJSON(): string;
  }

  class URLSearchParams implements Iterable<[string, string]> {
    constructor(init?: string | Iterable<[string, string]> | Record<string, string>);
    readonly size: number;
    append(name: string, value: string): void;
    delete(name: string, value?: string): void;
    get(name: string): string | null;
    getAll(name: string): string[];
    has(name: string, value?: string): boolean;
    set(name: string, value: string): void;
    sort(): void;
    keys(): IterableIterator<string>;
    values(): IterableIterator<string>;
    entries(): IterableIterator<[string, string]>;
    [Symbol.iterator](): IterableIterator<[string, string]>;
    toString(): string;
  }

  type HeadersInit = Headers | Iterable<[string, string]> | Record<string, string>;

  class Headers implements Iterable<[string, string]> {
    constructor(init?: HeadersInit);
    append(name: string, value: string): void;
    delete(name: string): void;
    get(name: string): string | null;
    has(name: string): boolean;
    set(name: string, value: string): void;
    keys(): IterableIterator<string>;
    values(): IterableIterator<string>;
    entries(): IterableIterator<[string, string]>;
    [Symbol.iterator](): IterableIterator<[string, string]>;
  }

  type BodyInit = string | Uint8Array | ArrayBuffer | URLSearchParams;

  interface RequestInit {
    method?: string;
    headers?: HeadersInit;
    body?: BodyInit | null;
    redirect?: 'follow' | 'manual' | 'error';
    signal?: AbortSignal | null;
  }

  interface ResponseInit {
    status?: number;
    statusText?: string;
    headers?: HeadersInit;
  }

  class Request {
    constructor(input: string | URL | Request, init?: RequestInit);
    readonly method: string;
    readonly url: string;
    readonly headers: Headers;
    readonly redirect: 'follow' | 'manual' | 'error';
    readonly signal: AbortSignal;
    text(): Promise<string>;
    json(): Promise<unknown>;
    arrayBuffer(): Promise<ArrayBuffer>;
    bytes(): Promise<Uint8Array>;
  }

  class Response {
    constructor(body?: BodyInit | null, init?: ResponseInit);
    static json(data: unknown, init?: ResponseInit): Response;
    readonly status: number;
    readonly statusText: string;
    readonly ok: boolean;
    readonly redirected: boolean;
    readonly url: string;
    readonly headers: Headers;
    text(): Promise<string>;
    json(): Promise<unknown>;
    arrayBuffer(): Promise<ArrayBuffer>;
    bytes(): Promise<Uint8Array>;
  }

  /** Sends a request through the host, which allows the declared hosts only. */
  function fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>;

  class AbortSignal {
    static abort(reason?: unknown): AbortSignal;
    static timeout(milliseconds: number): AbortSignal;
    static any(signals: Iterable<AbortSignal>): AbortSignal;
    readonly aborted: boolean;
    readonly reason: unknown;
    throwIfAborted(): void;
    addEventListener(type: 'abort', listener: () => void, options?: { once?: boolean }): void;
    removeEventListener(type: 'abort', listener: () => void): void;
  }

  class AbortController {
    readonly signal: AbortSignal;
    abort(reason?: unknown): void;
  }

  /** UTF-8 only. */
  class TextEncoder {
    encode(text?: string): Uint8Array;
  }

  class TextDecoder {
    constructor(label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean });
    decode(bytes?: Uint8Array | ArrayBuffer): string;
  }

  function atob(base64: string): string;
  function btoa(binary: string): string;

  /** What signals abort with: `AbortError`, `TimeoutError`. */
  class DOMException extends Error {
    constructor(message?: string, name?: string);
  }

  /** Writes to the log of the step, like `ctx.log`. */
  const console: {
    debug(...values: unknown[]): void;
    log(...values: unknown[]): void;
    info(...values: unknown[]): void;
    warn(...values: unknown[]): void;
    error(...values: unknown[]): void;
  };

  function queueMicrotask(callback: () => void): void;

  /** At most 1,000 timers a call, 100 of them pending; those that are pending when the call settles never fire. */
  function setTimeout(callback: () => void, delayMs?: number): number;
  function clearTimeout(timer: number | undefined): void;

  interface CryptoKey {
    readonly type: 'secret';
    readonly usages: readonly ('sign' | 'verify')[];
  }

  interface SubtleCrypto {
    digest(algorithm: HashName, data: Uint8Array | ArrayBuffer): Promise<ArrayBuffer>;
    importKey(
      format: 'raw',
      key: Uint8Array | ArrayBuffer,
      algorithm: { name: 'HMAC'; hash: HashName },
      extractable: false,
      usages: readonly ('sign' | 'verify')[],
    ): Promise<CryptoKey>;
    sign(algorithm: 'HMAC', key: CryptoKey, data: Uint8Array | ArrayBuffer): Promise<ArrayBuffer>;
    verify(
      algorithm: 'HMAC',
      key: CryptoKey,
      signature: Uint8Array | ArrayBuffer,
      data: Uint8Array | ArrayBuffer,
    ): Promise<boolean>;
  }

  interface Crypto {
    readonly subtle: SubtleCrypto;
    getRandomValues<T extends Uint8Array>(array: T): T;
    randomUUID(): string;
  }

  const crypto: Crypto;
}
