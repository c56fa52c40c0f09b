import { styleText } from 'node:util';

import type { JsonValue } from '../common/json.js';
import type { ExecutionView, StepView, WaitView } from './host-client.js';

const PREVIEW_CHARS = 100;
const SHOWN = new Set(['success', 'error', 'skipped', 'cancelled']);

/** Writes one line for each step as it ends, what it waits for before that, and the outcome. */
export class RunPrinter {
  private readonly shown = new Set<string>();
  private readonly waiting = new Set<string>();

  constructor(
    private readonly out: NodeJS.WritableStream,
    private readonly asJson: boolean,
  ) {}

  show(execution: ExecutionView): void {
    if (this.asJson) return;
    const width = Math.max(...execution.steps.map((step) => step.id.length));
    for (const step of execution.steps) {
      if (this.shown.has(step.id) || !SHOWN.has(step.status)) continue;
      this.shown.add(step.id);
      this.write(stepLine(step, width));
    }
  }

  /** Whether a step has come to wait that was not shown to. */
  hasNewWaits({ steps }: ExecutionView): boolean {
    if (this.asJson) return false;
    return steps.some(({ id, status }) => status === 'waiting' && !this.waiting.has(id));
  }

  /** Says what the steps wait for, and how somebody answers. */
  showWaits({ steps }: ExecutionView, waits: readonly WaitView[]): void {
    for (const { id, status } of steps) {
      if (status !== 'waiting' || this.waiting.has(id)) continue;
      this.waiting.add(id);
      for (const wait of waits) if (wait.step_id === id) this.write(waitText(wait));
    }
  }

  finish(execution: ExecutionView): void {
    if (this.asJson) {
      this.write(JSON.stringify(execution, null, 2));
      return;
    }
    const succeeded = execution.status === 'success';
    const title = styleText(succeeded ? 'green' : 'red', execution.status);
    this.write(`${title} in ${String(execution.duration_ms ?? 0)} ms (execution ${execution.id})`);
    if (execution.error) this.write(`${execution.error.code}: ${execution.error.message}`);
    if (succeeded) this.write(JSON.stringify(execution.output, null, 2));
  }

  private write(line: string): void {
    this.out.write(`${line}\n`);
  }
}

function stepLine(step: StepView, width: number): string {
  const mark =
    { success: styleText('green', '✓'), error: styleText('red', '✗') }[step.status] ?? '-';
  const latencyMs = step.result?.metadata.latency_ms;
  const time = latencyMs === undefined ? step.status : `${String(latencyMs)} ms`;
  const tries = step.attempts > 1 ? ` after ${String(step.attempts)} attempts` : '';
  return [
    ` ${mark} ${step.id.padEnd(width)}`,
    `${step.provider}.${step.action}`,
    `${time}${tries}`,
    preview(step),
  ].join('  ');
}

function waitText({ step_id: id, kind, message, wake_at: wakeAt, url }: WaitView): string {
  const what = {
    timer: '',
    callback: ' for a call',
    approval: ' for a decision',
    plan: ' for a plan',
  };
  const until = wakeAt === null ? '' : ` until ${wakeAt}`;
  const about = message === null ? '' : `: ${message}`;
  const line = ` ${styleText('yellow', '…')} ${id} waits${what[kind]}${until}${about}`;
  if (url === null) return line;
  const body = kind === 'approval' ? '{"approved": true}' : '{}';
  return `${line}\n     curl -X POST -H 'content-type: application/json' -d '${body}' ${url}`;
}

function preview(step: StepView): string {
  if (!step.result) return '';
  const { error, output } = step.result;
  return error ? `${error.code}: ${error.message}` : cut(output);
}

function cut(value: JsonValue): string {
  const text = JSON.stringify(value);
  return text.length <= PREVIEW_CHARS ? text : `${text.slice(0, PREVIEW_CHARS)}…`;
}
