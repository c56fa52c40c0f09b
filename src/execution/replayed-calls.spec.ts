import { describe, expect, it } from '@jest/globals';

import type { HostCalls, OutboundRequest } from '../sandbox/sandbox.js';
import { ReplayedCalls } from './replayed-calls.js';

const request = (url: string, body = ''): OutboundRequest => ({
  method: 'POST',
  url,
  headers: [['x', 'y']],
  body: new TextEncoder().encode(body),
  redirect: 'follow',
});
const signal = new AbortController().signal;

function counting(): { host: HostCalls; sent: string[] } {
  const sent: string[] = [];
  const host: HostCalls = {
    log: () => undefined,
    http: ({ url }) => {
      sent.push(url);
      if (url === 'lost') return Promise.reject(new Error('the child died'));
      const body = new TextEncoder().encode(String(sent.length));
      return Promise.resolve({
        status: 200,
        statusText: '',
        url,
        redirected: false,
        headers: [],
        body,
      });
    },
  };
  return { host, sent };
}

describe('ReplayedCalls', () => {
  it('gives a later attempt the answers of the earlier one, and sends what is new', async () => {
    const { host, sent } = counting();
    const replay = new ReplayedCalls();
    const first = await replay.wrap(host).http(request('a'), signal);
    const again = replay.wrap(host);
    expect(await again.http(request('a'), signal)).toBe(first);
    await again.http(request('b'), signal);
    expect(sent).toEqual(['a', 'b']);
  });

  it('sends again what differs in content or place', async () => {
    const { host, sent } = counting();
    const replay = new ReplayedCalls();
    await replay.wrap(host).http(request('a', '1'), signal);
    const again = replay.wrap(host);
    await again.http(request('a', '2'), signal);
    await again.http(request('a', '1'), signal);
    expect(sent).toEqual(['a', 'a', 'a']);
  });

  it('knows of requests that were never answered', async () => {
    const { host } = counting();
    const replay = new ReplayedCalls();
    await replay.wrap(host).http(request('a'), signal);
    expect(replay.hasUnanswered).toBe(false);
    await expect(replay.wrap(host).http(request('lost'), signal)).rejects.toThrow();
    expect(replay.hasUnanswered).toBe(true);
  });
});
