import { describe, expect, it } from '@jest/globals';

import { TaskGates } from './task-gates.js';
import { Turnstile } from './turnstile.js';
import type { WorkTask } from './work-queue.js';

describe('the gates of tasks', () => {
  it('shut at their number of jobs, and where a task says that it is full', () => {
    let isFull = false;
    const gates = new TaskGates(
      new Map([task('mail', 2), task('claims', 5, () => isFull)].map((one) => [one.name, one])),
    );
    expect(gates.listShut()).toEqual([]);
    gates.began('mail');
    expect(gates.listShut()).toEqual([]);
    gates.began('mail');
    expect(gates.listShut()).toEqual(['mail']);
    isFull = true;
    expect(gates.listShut()).toEqual(['mail', 'claims']);
    gates.ended('mail');
    expect(gates.listShut()).toEqual(['claims']);
  });
});

describe('the turnstile', () => {
  it('lets one after the other through, in the order of asking', async () => {
    const turnstile = new Turnstile();
    const passed: number[] = [];
    await turnstile.enter();
    const others = [1, 2].map(async (n) => {
      await turnstile.enter();
      passed.push(n);
    });
    await settle();
    expect(passed).toEqual([]);
    turnstile.leave();
    await settle();
    expect(passed).toEqual([1]);
    turnstile.leave();
    await Promise.all(others);
    expect(passed).toEqual([1, 2]);
    turnstile.leave();
    await turnstile.enter();
  });
});

function task(name: string, concurrency: number, isFull?: () => boolean): WorkTask {
  return { name, concurrency, ...(isFull && { isFull }), run: () => Promise.resolve() };
}

async function settle(): Promise<void> {
  await new Promise((done) => setImmediate(done));
}
