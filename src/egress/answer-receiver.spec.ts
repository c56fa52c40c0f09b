import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { describe, expect, it } from '@jest/globals';
import type { Dispatcher } from 'undici';

import { AnswerReceiver } from './answer-receiver.js';

class FakeController implements Dispatcher.DispatchController {
  readonly aborted = false;
  readonly paused = false;
  readonly reason = null;
  readonly reasons: Error[] = [];

  constructor(readonly rawHeaders: Buffer[] = []) {}

  abort(reason: Error): void {
    this.reasons.push(reason);
  }

  pause(): void {
    throw new Error('nothing is paused');
  }

  resume(): void {
    throw new Error('nothing is resumed');
  }
}

function receive(limitBytes = 10) {
  const aborter = new AbortController();
  const sent: true[] = [];
  const receiver = new AnswerReceiver({
    signal: aborter.signal,
    onSend: () => sent.push(true),
    limitBytes,
    host: 'a.example',
  });
  return { receiver, aborter, sent };
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** What is held, not what was left behind. */
function usedBytes(): number {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const bytes = (...texts: string[]): Buffer[] => texts.map((text) => Buffer.from(text, 'latin1'));

describe('AnswerReceiver', () => {
  it('gives the head, then the body as a whole', async () => {
    const { receiver, sent } = receive();
    const controller = new FakeController(bytes('X-A', 'ü', 'x-a', 'b'));
    receiver.onRequestStart(controller);
    receiver.onResponseStart(new FakeController(bytes('link', '<early>')), 103, {}, 'Early Hints');
    receiver.onResponseStart(controller, 200, {}, 'OK');
    for (const piece of bytes('12345', '67890')) receiver.onResponseData(controller, piece);
    receiver.onResponseEnd();
    expect(await receiver.head).toEqual({
      status: 200,
      statusText: 'OK',
      headers: [
        ['x-a', 'ü'],
        ['x-a', 'b'],
      ],
    });
    expect((await receiver.body).toString()).toBe('1234567890');
    expect([sent.length, controller.reasons]).toEqual([1, []]);
  });

  it('cuts the connection at the first byte past the limit, and keeps nothing', async () => {
    const { receiver } = receive(10);
    const controller = new FakeController();
    receiver.onRequestStart(controller);
    receiver.onResponseStart(controller, 200, {}, 'OK');
    for (const piece of bytes('1234567890', '1', '2')) receiver.onResponseData(controller, piece);
    receiver.onResponseEnd();
    await expect(receiver.body).rejects.toMatchObject({ code: 'egress.response_too_large' });
    expect(controller.reasons).toHaveLength(1);
  });

  it('takes no more memory for a body that comes byte by byte', async () => {
    const count = 400_000;
    const { receiver } = receive(count);
    const controller = new FakeController();
    receiver.onRequestStart(controller);
    receiver.onResponseStart(controller, 200, {}, 'OK');
    const before = usedBytes();
    const read = Buffer.from('0123456789abcdef');
    for (let at = 0; at < count; at++) {
      receiver.onResponseData(controller, read.subarray(at % 16, (at % 16) + 1));
    }
    expect(usedBytes() - before).toBeLessThan(10 * 1024 * 1024);
    receiver.onResponseEnd();
    expect((await receiver.body).equals(Buffer.alloc(count, read))).toBe(true);
  });

  it('drops a request unsent that was given up before there was a connection', async () => {
    const { receiver, aborter, sent } = receive();
    aborter.abort(new Error('given up'));
    await expect(receiver.head).rejects.toThrow('given up');
    const controller = new FakeController();
    receiver.onRequestStart(controller);
    expect([sent, controller.reasons.map(({ message }) => message)]).toEqual([[], ['given up']]);
  });

  it('ends with the signal while the body comes in', async () => {
    const { receiver, aborter } = receive();
    const controller = new FakeController();
    receiver.onRequestStart(controller);
    receiver.onResponseStart(controller, 200, {}, 'OK');
    aborter.abort(new Error('too late'));
    await expect(receiver.body).rejects.toThrow('too late');
    expect(controller.reasons).toHaveLength(1);
  });

  it('leaves a connection alone whose answer was complete', async () => {
    const { receiver, aborter } = receive();
    const controller = new FakeController();
    receiver.onRequestStart(controller);
    receiver.onResponseStart(controller, 204, {});
    receiver.onResponseEnd();
    receiver.fail(new Error('discarded'));
    aborter.abort();
    expect((await receiver.body).length).toBe(0);
    expect(controller.reasons).toEqual([]);
  });
});
