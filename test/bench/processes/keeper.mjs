import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/**
 * Sees to it that nothing outlives the bench, however that ends: a process of its own that hears of its
 * end by a pipe, ends what is left, and removes the folder.
 */
export class Keeper {
  #child;

  constructor(directory) {
    this.#child = spawn(
      process.execPath,
      [join(import.meta.dirname, 'keeper-process.mjs'), directory],
      {
        detached: true, // Ctrl-C in a terminal must not reach it
        stdio: ['pipe', 'ignore', 'inherit'],
      },
    );
  }

  /** @param kind databases are ended after hosts, which would bring them back */
  watch(kind, pid) {
    this.#child.stdin.write(`${kind} ${pid}\n`);
  }

  async close() {
    const ended = once(this.#child, 'exit');
    this.#child.stdin.end();
    await ended;
  }
}
