import { describe, expect, it } from '@jest/globals';

import { HostCallError, type HostCalls, type OutboundRequest } from '../sandbox/sandbox.js';
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
      if (url === 'denied') {
        return Promise.reject(new HostCallError('egress.denied', 'no', { sent: false }));
      }
      sent.push(url);
      if (url === 'lost') return Promise.reject(new Error('the child died'));
      const body = new Uint8Array(url === 'huge' ? 9 * 2 ** 20 : 1);
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
  it('answers the attempt after a crash from what the one before was given, and sends what is new', async () => {
    const { host, sent } = counting();
    const calls = new ReplayedCalls();
    const first = calls.record(host);
    const answers = await Promise.all([
      first.http(request('a'), signal),
      first.http(request('b'), signal),
    ]);
    expect(calls.isReplayable).toBe(true);
    const again = calls.replay(host);
    expect(await again.http(request('a'), signal)).toBe(answers[0]);
    expect(await again.http(request('b'), signal)).toBe(answers[1]);
    await again.http(request('c'), signal);
    expect(sent).toEqual(['a', 'b', 'c']);
    expect(calls.hasDiverged).toBe(false);
  });

  it('refuses a request that differs from what was sent in its place', async () => {
    const { host, sent } = counting();
    const calls = new ReplayedCalls();
    await calls.record(host).http(request('pay', 'nonce 1'), signal);
    await expect(calls.replay(host).http(request('pay', 'nonce 2'), signal)).rejects.toThrow(
      /not sent/,
    );
    expect(calls.hasDiverged).toBe(true);
    expect(sent).toEqual(['pay']);
  });

  it('is replayed once, and an attempt that asks for nothing was none', async () => {
    const { host } = counting();
    const calls = new ReplayedCalls();
    await calls.record(host).http(request('a'), signal);
    const replay = calls.replay(host);
    expect(calls.isReplayable).toBe(true);
    await replay.http(request('a'), signal);
    expect(calls.isReplayable).toBe(false);
  });

  it('knows whether something was done: a write that was answered with success', async () => {
    const { host } = counting();
    const calls = new ReplayedCalls();
    await calls.record(host).http({ ...request('a'), method: 'GET' }, signal);
    expect(calls.hasDone).toBe(false);
    await calls.record(host).http(request('a'), signal);
    expect(calls.hasDone).toBe(true);
  });

  it('knows what a replay did beyond what it was given', async () => {
    const { host } = counting();
    const calls = new ReplayedCalls();
    await calls.record(host).http({ ...request('a'), method: 'GET' }, signal);
    const replay = calls.replay(host);
    await replay.http({ ...request('a'), method: 'GET' }, signal);
    expect(calls.hasDone).toBe(false);
    await replay.http(request('b'), signal);
    expect(calls.hasDone).toBe(true);
  });

  it("isn't replayable when an answer never came, or too much came", async () => {
    const { host } = counting();
    const lost = new ReplayedCalls();
    await expect(lost.record(host).http(request('lost'), signal)).rejects.toThrow();
    expect(lost.isReplayable).toBe(false);
    const huge = new ReplayedCalls();
    await huge.record(host).http(request('huge'), signal);
    expect(huge.isReplayable).toBe(false);
  });

  it('is replayable after a request that no server has seen', async () => {
    const { host } = counting();
    const calls = new ReplayedCalls();
    await expect(calls.record(host).http(request('denied'), signal)).rejects.toThrow();
    expect(calls.isReplayable).toBe(true);
  });
});
