import { randomBytes } from 'node:crypto';

import { COMPILE_CPU_MS } from '../protocol/frame-limits.js';
import type { CallMessage, ChildDefence, ChildMessage } from '../protocol/messages.js';
import type { CallLimits, HostCalls } from '../sandbox.js';
import { HostCallGate } from './host-call-gate.js';
import type { IsolateDefences, SandboxLog } from './isolate-options.js';
import { failed, readFailure, readOutput, type CallOutcome } from './outcome.js';
import { CLOSING } from './pool-contract.js';
import type { ChildExit, ChildListener, SandboxChild } from './sandbox-child.js';
import type { Watch, Watchdog } from './watchdog.js';

export interface SessionCall {
  mode: 'run' | 'describe';
  fresh: CallMessage['fresh'];
  digest: string;
  action: string;
  /** As JSON. */
  input: string;
  credential: Readonly<Record<string, string>> | null;
  idempotencyKey: string;
  limits: CallLimits;
}

export interface SessionEnd {
  outcome: CallOutcome;
  /** Whether the child has cleaned up and may take another call; settles within a second. */
  reusable: Promise<boolean>;
}

export interface SessionParts {
  child: SandboxChild;
  call: SessionCall;
  host: HostCalls;
  signal: AbortSignal;
  watchdog: Watchdog;
  defences: IsolateDefences;
  log: SandboxLog;
}

/**
 * One call on one child, seen from outside. Exactly one thing settles it: a `done` frame, a limit, the
 * caller's signal, a breach of the protocol, or the child's end.
 */
export class CallSession implements ChildListener {
  private readonly id = randomBytes(16).toString('hex');
  private readonly gate: HostCallGate;
  private readonly wallTimer: NodeJS.Timeout | null;
  private readonly settled = Promise.withResolvers<CallOutcome>();
  private readonly reusable = Promise.withResolvers<boolean>();
  private readonly watch: Watch | null;
  private isSettled = false;
  private isStarted = false;
  private isOver = false;
  private idleTimer: NodeJS.Timeout | null = null;

  constructor(private readonly parts: SessionParts) {
    const { child, call, host, defences, log, watchdog } = parts;
    const { limits } = call;
    this.gate = new HostCallGate({
      call: this.id,
      host,
      limits,
      enforces: defences.hostCallCaps,
      log,
      answer: (answer, body) => {
        child.send(answer, body);
      },
    });
    this.wallTimer = defences.wallClock
      ? setTimeout(() => {
          this.end(failed('plugin.timed_out', `took longer than ${String(limits.wallMs)} ms`));
        }, limits.wallMs)
      : null;
    this.watch = defences.watchdog
      ? watchdog.watch(
          child.pid,
          { cpuMs: COMPILE_CPU_MS + CPU_SLACK_MS, rssBytes: limits.rssMb * 2 ** 20 },
          (what) => {
            this.onLimit(what);
          },
        )
      : null;
  }

  async run(): Promise<SessionEnd> {
    const { child, signal, call } = this.parts;
    const onAbort = (): void => {
      this.end(abortOutcome(signal));
    };
    signal.addEventListener('abort', onAbort);
    child.listen(this);
    child.send(this.message(), Buffer.from(call.input));
    if (signal.aborted) onAbort();
    const outcome = await this.settled.promise;
    signal.removeEventListener('abort', onAbort);
    return { outcome, reusable: this.reusable.promise };
  }

  onMessage(message: ChildMessage, body: Uint8Array): void {
    if (message.type === 'hello' || message.call !== this.id) {
      this.violate('it answered for a call that is not its own');
      return;
    }
    if (this.isSettled) {
      this.onMessageAfterDone(message);
      return;
    }
    switch (message.type) {
      case 'started':
        if (this.isStarted) this.violate('it started twice');
        this.isStarted = true;
        this.watch?.restart(this.parts.call.limits.cpuMs + CPU_SLACK_MS);
        break;
      case 'http':
        this.endIf(this.gate.http(message.id, message.request, body));
        break;
      case 'abort':
        this.endIf(this.gate.abort(message.id));
        break;
      case 'log':
        this.endIf(this.gate.log(message));
        break;
      case 'done':
        this.done(message, body);
        break;
      case 'idle':
        this.violate('it was idle before its call was done');
        break;
    }
  }

  onViolation(reason: string): void {
    this.parts.log('warn', 'sandbox.protocol_violation', { pid: this.parts.child.pid, reason });
    this.end(failed('plugin.protocol_violation', 'the sandbox child broke the protocol'));
  }

  onExit(exit: ChildExit): void {
    if (!this.isSettled)
      this.parts.log('warn', 'sandbox.child_crashed', { pid: this.parts.child.pid, ...exit });
    this.end(this.crashOutcome(exit));
  }

  private endIf(breach: CallOutcome | null): void {
    if (breach !== null) this.end(breach);
  }

  /** Settles the call where the child didn't: whatever still runs there is killed. */
  private end(outcome: CallOutcome): void {
    this.settle(outcome);
    this.abandon(outcome.ok ? 'its call is over' : outcome.error.code);
  }

  private abandon(reason: string): void {
    this.parts.child.kill(reason);
    this.finish(false);
  }

  private done(message: Extract<ChildMessage, { type: 'done' }>, body: Uint8Array): void {
    const { limits } = this.parts.call;
    const { defences } = this.parts;
    if (!message.ok) {
      this.settle(readFailure(message, body, this.gate.refusals));
      if (LEAVES_ISOLATE_RUNNING.has(message.code)) {
        this.abandon(message.code);
        return;
      }
    } else if (defences.kernelCaps && body.byteLength > limits.outputBytes) {
      this.end(
        failed('plugin.output_too_large', `the result is over ${String(limits.outputBytes)} bytes`),
      );
      return;
    } else this.settle(readOutput(body, defences.safeJson));
    this.idleTimer = setTimeout(() => {
      this.abandon('it did not clean up after its call');
    }, CLEAN_UP_MS);
  }

  private onMessageAfterDone(message: ChildMessage): void {
    if (message.type === 'idle') this.finish(true);
    else if (this.parts.defences.silenceAfterDone)
      this.violate('it went on after its call was done');
  }

  private violate(reason: string): void {
    this.parts.child.kill(reason);
    this.onViolation(reason);
  }

  private onLimit(what: 'cpu' | 'rss'): void {
    const { cpuMs, rssMb } = this.parts.call.limits;
    if (what === 'rss') {
      this.end(failed('plugin.out_of_memory', `used more than ${String(rssMb)} MiB of memory`));
    } else if (this.isStarted) {
      this.end(failed('plugin.cpu_exceeded', `used more than ${String(cpuMs)} ms of CPU time`));
    } else {
      this.end(
        failed(
          'plugin.load_failed',
          `the bundle took over ${String(COMPILE_CPU_MS)} ms to compile`,
        ),
      );
    }
  }

  private crashOutcome({ signal, stderr, killedFor }: ChildExit): CallOutcome {
    if (killedFor === CLOSING) return failed('sandbox.unavailable', CLOSING);
    const { rssMb } = this.parts.call.limits;
    const isFull = (this.watch?.last?.rssBytes ?? 0) > rssMb * 2 ** 20 * NEARLY_FULL;
    // Nobody here sent that SIGKILL: of those who might, the kernel's OOM killer comes first.
    if (/out of memory|allocation failed/i.test(stderr) || (signal === 'SIGKILL' && isFull)) {
      return failed('plugin.out_of_memory', 'the sandbox child ran out of memory');
    }
    return failed('plugin.crashed', 'the sandbox child ended unexpectedly');
  }

  private settle(outcome: CallOutcome): void {
    if (this.isSettled) return;
    this.isSettled = true;
    if (this.wallTimer !== null) clearTimeout(this.wallTimer);
    this.gate.close();
    this.settled.resolve(outcome);
  }

  private finish(isReusable: boolean): void {
    if (this.isOver) return;
    this.isOver = true;
    if (this.idleTimer !== null) clearTimeout(this.idleTimer);
    this.watch?.stop();
    this.parts.child.listen(null);
    this.reusable.resolve(isReusable);
  }

  private message(): CallMessage {
    const { mode, fresh, digest, action, credential, idempotencyKey, limits } = this.parts.call;
    const { cpuMs, heapMb, outputBytes, hostCalls, hostCallsInFlight, logLines, logLineBytes } =
      limits;
    const without = CHILD_DEFENCES.filter((name) => !this.parts.defences[name]);
    return {
      type: 'call',
      call: this.id,
      digest,
      mode,
      fresh,
      action,
      credential,
      idempotencyKey,
      cpuMs,
      heapMb,
      limits: { outputBytes, hostCalls, hostCallsInFlight, logLines, logLineBytes },
      ...(without.length === 0 ? {} : { without }),
    };
  }
}

/** What the caller's signal makes of a call. */
export function abortOutcome(signal: AbortSignal): CallOutcome {
  const reason = signal.reason as { name?: unknown } | null;
  return reason?.name === 'TimeoutError'
    ? failed('step.timed_out', 'the step ran out of time')
    : failed('step.cancelled', 'the step was cancelled');
}

/** Above the child's own limit: its meter ends a call first, and more exactly. */
const CPU_SLACK_MS = 30;

/** How long a child may take to get rid of an isolate. */
const CLEAN_UP_MS = 1000;

const NEARLY_FULL = 0.7;

/** Failures after which guest code may still be running in the child. */
const LEAVES_ISOLATE_RUNNING = new Set([
  'plugin.cpu_exceeded',
  'plugin.out_of_memory',
  'plugin.crashed',
]);

const CHILD_DEFENCES: readonly ChildDefence[] = [
  'cpuMeter',
  'kernelCaps',
  'freshIsolate',
  'freshContext',
];
