import { randomBytes } from 'node:crypto';

import {
  COMPILE_CPU_MS,
  MAX_BODY_BYTES,
  MAX_HEADER_BYTES,
  MAX_TIMERS,
} from '../protocol/frame-limits.js';
import type { KernelEvent, KernelHeads, KernelKind } from '../protocol/kernel-bridge.js';
import type { CallFailure, CallMessage, ChildDefence, HostMessage } from '../protocol/messages.js';
import { CpuMeter } from './cpu-meter.js';
import type { HostLink } from './host-link.js';
import type { GuestRealm, RealmReceiver } from './kernel-isolate.js';

type Answer = Extract<HostMessage, { type: 'answer' }>;

/**
 * One call in one realm. Guest code runs on a thread of the isolate's own, so this one stays free to
 * meter it, to keep its timers and to notice that the host is gone. Every limit that the kernel
 * enforces inside is checked here again: the kernel shares a realm with its guest.
 */
export class IsolateCall implements RealmReceiver {
  private readonly id: string;
  private readonly meter = new CpuMeter();
  private readonly timers = new Map<number, NodeJS.Timeout>();
  private readonly requests = new Set<number>();
  private turns = 0;
  private received = 0;
  private hostCalls = 0;
  private loadError: string | null = null;
  private settled = false;
  private hasSucceeded = false;
  /** Failed in a way after which the isolate may still run: the host kills this process. */
  private isLost = false;
  private onQuiet: (() => void) | null = null;

  constructor(
    private readonly parts: {
      message: CallMessage;
      input: string;
      bundle: string;
      realm: GuestRealm;
      link: HostLink;
    },
  ) {
    this.id = parts.message.call;
  }

  /**
   * Settles once the call is reported and no guest code runs any more; never, when the isolate is lost.
   * @returns whether it ended with a result
   */
  async run(): Promise<boolean> {
    const { realm } = this.parts;
    realm.receiver = this;
    if (await this.load()) this.start();
    await new Promise<void>((resolve) => {
      this.onQuiet = resolve;
      this.checkQuiet();
    });
    // What the guest may still hold of the kernel leads nowhere from here on.
    realm.receiver = null;
    return this.hasSucceeded;
  }

  answer(message: Answer, body: Uint8Array): void {
    if (this.settled || message.call !== this.id || !this.requests.delete(message.id)) return;
    if (message.ok) {
      const { id, status, statusText, url, redirected, headers } = message;
      const event = {
        type: 'answer',
        now: Date.now(),
        id,
        ok: true,
        status,
        statusText,
        url,
        redirected,
        headers,
      } as const;
      this.deliver(event, latin1(body));
    } else {
      const { id, code, message: text } = message;
      this.deliver({ type: 'answer', now: Date.now(), id, ok: false, code, message: text }, '');
    }
  }

  receive(kind: KernelKind, head: string, body: string): void {
    if (this.settled) return;
    const { limits } = this.parts.message;
    const maxMessages = 2 * limits.hostCalls + limits.logLines + 2 * MAX_TIMERS + 2;
    if (this.enforces('kernelCaps')) {
      if (++this.received > maxMessages || !fits(kind, head, body, limits.outputBytes)) {
        this.fail('plugin.protocol_violation', 'the isolate sent more than its kernel allows');
        return;
      }
    }
    const parsed = parseHead(head);
    if (parsed === undefined) {
      this.fail('plugin.protocol_violation', 'the isolate sent what is no message');
      return;
    }
    switch (kind) {
      case 'http':
        this.request(parsed as KernelHeads['http'], body);
        break;
      case 'abort':
        this.parts.link.send({
          type: 'abort',
          call: this.id,
          id: (parsed as KernelHeads['abort']).id,
        });
        break;
      case 'log':
        this.parts.link.send({ type: 'log', call: this.id, ...(parsed as KernelHeads['log']) });
        break;
      case 'timer':
        this.startTimer(parsed as KernelHeads['timer']);
        break;
      case 'untimer':
        this.stopTimer((parsed as KernelHeads['untimer']).id);
        break;
      case 'done':
        this.done(parsed as KernelHeads['done'], body);
        break;
    }
  }

  onCatastrophe(): void {
    this.isLost = true;
    this.fail('plugin.out_of_memory', 'V8 ran out of memory beyond recovery');
  }

  /** Compiles and evaluates the bundle. False when the call is over already. */
  private async load(): Promise<boolean> {
    const { realm, message, bundle, link } = this.parts;
    const { limits } = message;
    const withoutCaps = !this.enforces('kernelCaps');
    const seed = randomBytes(64).toString('latin1');
    const begin: KernelEvent = { type: 'begin', now: Date.now(), seed, limits, withoutCaps };
    // Only our own code runs in this turn, so it needs no thread of its own.
    realm.deliver.applySync(undefined, [JSON.stringify(begin), '']);
    this.account(COMPILE_CPU_MS, () => {
      this.isLost = true;
      this.fail(
        'plugin.load_failed',
        `the bundle took over ${String(COMPILE_CPU_MS)} ms to compile`,
      );
    });
    this.turnBegins();
    try {
      const evaluate = await realm.compile(bundle);
      if (this.settled) return false;
      link.send({ type: 'started', call: this.id });
      this.account(message.cpuMs, () => {
        this.isLost = true;
        this.fail('plugin.cpu_exceeded', `used more than ${String(message.cpuMs)} ms of CPU time`);
      });
      await evaluate();
    } catch (error) {
      // Also an unhandled rejection: the kernel finds out whether a plugin is there all the same.
      if (!this.isDead(error)) this.loadError = messageOf(error);
    } finally {
      this.turnEnds();
    }
    return !this.settled;
  }

  private start(): void {
    const { message, input } = this.parts;
    const { mode, action, credential, idempotencyKey } = message;
    this.deliver(
      { type: 'start', now: Date.now(), mode, action, credential, idempotencyKey },
      input,
    );
  }

  /** One turn of the guest: an event goes in, and its code runs until nothing is left to do at once. */
  private deliver(event: KernelEvent, body: string): void {
    if (this.settled) return;
    const { deliver } = this.parts.realm;
    this.turnBegins();
    // No timeout of isolated-vm's: it is a wall clock, and blind to microtasks. The meter is what counts.
    deliver.apply(undefined, [JSON.stringify(event), body]).then(
      () => {
        this.turnEnds();
        this.checkStuck();
      },
      (error: unknown) => {
        // A rejection that the guest left unhandled also ends up here; it changes nothing.
        this.isDead(error);
        this.turnEnds();
        this.checkStuck();
      },
    );
  }

  private turnBegins(): void {
    this.turns++;
    if (this.enforces('cpuMeter')) this.meter.start();
  }

  private turnEnds(): void {
    if (--this.turns === 0) {
      this.meter.stop();
      if (!this.settled && this.enforces('cpuMeter')) this.meter.check();
    }
    this.checkQuiet();
  }

  private checkQuiet(): void {
    if (this.settled && !this.isLost && this.turns === 0) this.onQuiet?.();
  }

  /** Nothing runs, nothing is under way, and there is no result: there never will be one. */
  private checkStuck(): void {
    if (this.settled || this.turns > 0 || this.requests.size > 0 || this.timers.size > 0) return;
    this.fail('plugin.never_settled', 'the action waits for something that can not happen');
  }

  private isDead(error: unknown): boolean {
    if (!this.parts.realm.isolate.isDisposed) return false;
    this.isLost = true;
    if (messageOf(error).includes('memory limit')) {
      this.fail(
        'plugin.out_of_memory',
        `used more than ${String(this.parts.message.heapMb)} MiB of heap`,
      );
    } else this.fail('plugin.crashed', 'the isolate ended unexpectedly');
    return true;
  }

  private request({ id, ...request }: KernelHeads['http'], body: string): void {
    const { limits } = this.parts.message;
    if (this.enforces('kernelCaps')) {
      if (++this.hostCalls > limits.hostCalls || this.requests.size >= limits.hostCallsInFlight) {
        this.fail(
          'plugin.protocol_violation',
          'the isolate made more host calls than its kernel allows',
        );
        return;
      }
    }
    this.requests.add(id);
    this.parts.link.send({ type: 'http', call: this.id, id, request }, Buffer.from(body, 'latin1'));
  }

  private startTimer({ id, ms }: KernelHeads['timer']): void {
    const timer = setTimeout(() => {
      this.timers.delete(id);
      this.deliver({ type: 'timer', now: Date.now(), id }, '');
    }, ms);
    this.timers.set(id, timer);
  }

  private stopTimer(id: number): void {
    clearTimeout(this.timers.get(id));
    this.timers.delete(id);
  }

  private done(head: KernelHeads['done'], body: string): void {
    const bytes = Buffer.from(body, 'utf8');
    const { outputBytes } = this.parts.message.limits;
    if (!head.ok) {
      const isUnloaded = head.code === 'plugin.load_failed' && this.loadError !== null;
      const failure = isUnloaded ? { ...head, message: this.loadError ?? '' } : head;
      this.settle(failure, bytes);
    } else if (bytes.byteLength > Math.min(outputBytes, MAX_BODY_BYTES)) {
      this.fail('plugin.output_too_large', `the result is over ${String(outputBytes)} bytes`);
    } else this.settle(head, bytes);
  }

  private fail(code: string, message: string): void {
    this.settle({ ok: false, code, message });
  }

  private settle(outcome: { ok: true } | ({ ok: false } & CallFailure), body?: Uint8Array): void {
    if (this.settled) return;
    this.settled = true;
    this.hasSucceeded = outcome.ok;
    for (const timer of this.timers.values()) clearTimeout(timer);
    this.timers.clear();
    this.parts.link.send({ type: 'done', call: this.id, ...outcome }, body);
    this.checkQuiet();
  }

  private account(limitMs: number, onExceeded: () => void): void {
    this.meter.allow(limitMs, onExceeded);
  }

  private enforces(defence: ChildDefence): boolean {
    return this.parts.message.without?.includes(defence) !== true;
  }
}

function fits(kind: unknown, head: unknown, body: unknown, outputBytes: number): boolean {
  if (typeof kind !== 'string' || typeof head !== 'string' || typeof body !== 'string')
    return false;
  const maxBody = kind === 'done' ? Math.max(outputBytes, MAX_BODY_BYTES) : MAX_BODY_BYTES;
  return head.length <= MAX_HEADER_BYTES / 3 && body.length <= maxBody;
}

function parseHead(head: string): unknown {
  try {
    return JSON.parse(head);
  } catch {
    return undefined;
  }
}

function latin1(body: Uint8Array): string {
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('latin1');
}

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 500);
}
