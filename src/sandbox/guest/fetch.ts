import type { Bridge } from './bridge.js';
import { NativePromise } from './primordials.js';
import { Request, type RequestInit } from './request.js';
import { Response } from './response.js';
import type { URL } from './url.js';

export type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>;

/**
 * `fetch` over the bridge. A request that the host refuses or can't complete rejects with a
 * TypeError that has its own `code` (`egress.denied`, ...), a message, and nothing of the host.
 */
export function createFetch(bridge: Bridge): Fetch {
  return (input, init) =>
    new NativePromise((resolve, reject) => {
      const request = new Request(input, init);
      const { signal } = request;
      // The reason of an abort may be any value, not only an error.
      const fail: (reason: unknown) => void = reject;
      if (signal.aborted) {
        fail(signal.reason);
        return;
      }
      const body = Request.bodyOf(request);
      const { method, url, redirect } = request;
      const head = { method, url, redirect, headers: [...request.headers], hasBody: body !== null };
      const id = bridge.http(head, body ?? '', {
        onAnswer(answer) {
          signal.removeEventListener('abort', onAbort);
          resolve(new Response(undefined, {}, answer));
        },
        onRefusal(error) {
          signal.removeEventListener('abort', onAbort);
          reject(error);
        },
      });
      function onAbort(): void {
        bridge.abort(id);
        fail(signal.reason);
      }
      signal.addEventListener('abort', onAbort);
    });
}
