import type { ChildProcess } from 'node:child_process';
import type { Duplex } from 'node:stream';

import { parseUntrustedJson } from '../../common/json.js';
import { encodeFrame, FrameParser, type Frame } from '../protocol/frames.js';
import { readChildMessage, type ChildMessage, type HostMessage } from '../protocol/messages.js';
import { BundleShelf } from './bundle-shelf.js';

export interface ChildListener {
  onMessage(message: ChildMessage, body: Uint8Array): void;
  /** What the child sent breaks the protocol; it has been killed. */
  onViolation(reason: string): void;
  /** The process is gone and everything that it sent has been read. */
  onExit(exit: ChildExit): void;
}

export interface ChildExit {
  code: number | null;
  signal: string | null;
  /** Why the host killed it; null when it ended by itself or by another's hand. */
  killedFor: string | null;
  /** The end of what it wrote to stderr. */
  stderr: string;
}

/** A sandbox child: its process, its pipe, and what it holds. Whoever runs a call on it listens. */
export class SandboxChild {
  readonly pid: number;
  /** Bundles that the child keeps. */
  readonly bundles = new BundleShelf();
  /** Settles once the process has been reaped; never rejects. */
  readonly exited: Promise<ChildExit>;
  private readonly pipe: Duplex;
  private readonly parser = new FrameParser();
  private listener: ChildListener | null = null;
  private killedFor: string | null = null;
  private stderr = '';

  private constructor(private readonly process: ChildProcess) {
    if (process.pid === undefined) throw new Error('the process did not start');
    this.pid = process.pid;
    this.pipe = process.stdio[3] as Duplex;
    this.pipe.on('data', (chunk: Buffer) => {
      this.read(chunk);
    });
    // A broken pipe is the child's end; `exited` tells the rest.
    this.pipe.on('error', () => {
      this.kill('its pipe broke');
    });
    process.stderr?.on('data', (chunk: Buffer) => {
      this.stderr = (this.stderr + chunk.toString('latin1')).slice(-STDERR_CHARS);
    });
    this.exited = this.watchExit();
  }

  /**
   * Waits until the child is up.
   * @throws Error when it isn't within ten seconds; the process is gone then.
   */
  static async start(process: ChildProcess): Promise<SandboxChild> {
    await new Promise<void>((resolve, reject) => {
      process.once('spawn', resolve);
      process.once('error', reject);
    });
    const child = new SandboxChild(process);
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        child.kill('it did not start in time');
      }, START_MS);
      const fail = (reason: string): void => {
        clearTimeout(timer);
        child.listener = null;
        reject(new Error(`a sandbox child failed to start: ${reason}`));
      };
      child.listener = {
        onMessage(message) {
          if (message.type !== 'hello') {
            child.violate('it did not begin with hello');
            return;
          }
          clearTimeout(timer);
          child.listener = null;
          resolve();
        },
        onViolation: fail,
        onExit: ({ killedFor, stderr, code, signal }) => {
          fail(killedFor ?? `exit ${String(code ?? signal)}: ${stderr}`);
        },
      };
    });
    return child;
  }

  /** Takes the child for a call; null gives it back. A child that speaks without a listener is killed. */
  listen(listener: ChildListener | null): void {
    this.listener = listener;
  }

  /** @throws RangeError when the message is over the caps of a frame. */
  send(message: HostMessage, body?: Uint8Array): void {
    const parts = encodeFrame(JSON.stringify(message), body);
    if (!this.pipe.writable) return;
    if (this.pipe.writableLength > MAX_UNREAD_BYTES) {
      this.violate('it does not read what it is sent');
      return;
    }
    this.pipe.cork();
    for (const part of parts) this.pipe.write(part);
    this.pipe.uncork();
  }

  /** SIGKILL, at once; the first reason is kept. A graceful exit could hang in a running isolate. */
  kill(reason: string): void {
    if (this.killedFor !== null) return;
    this.killedFor = reason;
    this.process.kill('SIGKILL');
  }

  private read(chunk: Buffer): void {
    if (this.killedFor !== null) return;
    try {
      this.parser.push(chunk, (frame) => {
        this.take(frame);
      });
    } catch (error) {
      this.violate(error instanceof Error ? error.message : String(error));
    }
  }

  private take({ header, body }: Frame): void {
    if (this.killedFor !== null) return;
    const message = readChildMessage(parseUntrustedJson(header));
    if (message === null) this.violate('it sent a header that is no message');
    else if (this.listener === null) this.violate('it spoke out of turn');
    else this.listener.onMessage(message, body);
  }

  private violate(reason: string): void {
    this.kill(reason);
    this.listener?.onViolation(reason);
  }

  private watchExit(): Promise<ChildExit> {
    return new Promise((resolve) => {
      // "close" comes after the pipes are drained: a done frame that was written counts, whatever the exit.
      this.process.once('close', (code, signal) => {
        const exit = { code, signal, killedFor: this.killedFor, stderr: this.stderr };
        this.killedFor ??= 'it has ended';
        resolve(exit);
        this.listener?.onExit(exit);
      });
    });
  }
}

const START_MS = 10_000;
/** More than a bundle, an input and eight full answers: what lies here lies in the host's memory. */
const MAX_UNREAD_BYTES = 64 * 1024 * 1024;
const STDERR_CHARS = 4096;
