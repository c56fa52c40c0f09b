/** For specs: real children, hostile bundles, and children that are hostile themselves. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import type { ProviderResult } from '../../common/provider-result.js';
import type { SandboxAssets } from '../assets.js';
import {
  DEFAULT_LIMITS,
  type CallLimits,
  type HostCalls,
  type LogLine,
  type OutboundRequest,
  type OutboundResponse,
  type StepCall,
  type TrustClass,
} from '../sandbox.js';
import type { IsolateSandboxOptions } from './isolate-options.js';
import { IsolateSandbox } from './isolate-sandbox.js';

export interface CallOptions {
  tenantId?: string;
  trust?: TrustClass;
  input?: StepCall['input'];
  credential?: StepCall['credential'];
  limits?: Partial<CallLimits>;
  host?: HostCalls;
  signal?: AbortSignal;
}

/** A folder with freshly built assets, and sandboxes that are closed at the end. */
export class SandboxHarness {
  private readonly sandboxes: IsolateSandbox[] = [];

  private constructor(readonly directory: string) {}

  static async create(): Promise<SandboxHarness> {
    const directory = await mkdtemp(join(tmpdir(), 'stepwell-sandbox-'));
    const harness = new SandboxHarness(directory);
    const build = new URL('../assets.build.mjs', import.meta.url).href;
    await harness.node(`import { buildSandboxAssets } from ${JSON.stringify(build)};
      await buildSandboxAssets(${JSON.stringify(directory)});`);
    return harness;
  }

  get assets(): SandboxAssets {
    return {
      childPath: join(this.directory, 'child.cjs'),
      kernelPath: join(this.directory, 'kernel.js'),
    };
  }

  sandbox(options: Partial<IsolateSandboxOptions> = {}): IsolateSandbox {
    const sandbox = new IsolateSandbox({
      maxChildren: 3,
      spares: 1,
      assets: this.assets,
      ...options,
    });
    this.sandboxes.push(sandbox);
    return sandbox;
  }

  /** A sandbox whose children run a script of the test's instead of ours. */
  async sandboxWithChild(
    script: string,
    options: Partial<IsolateSandboxOptions> = {},
  ): Promise<IsolateSandbox> {
    const digest = createHash('sha256').update(script).digest('hex').slice(0, 12);
    const childPath = join(this.directory, `hostile-${digest}.cjs`);
    await writeFile(childPath, HOSTILE_CHILD_PRELUDE + script);
    return this.sandbox({ spares: 0, ...options, assets: { ...this.assets, childPath } });
  }

  /** Runs a module in a plain node and gives what it printed. */
  async node(module: string): Promise<string> {
    const { stdout } = await promisify(execFile)(process.execPath, [
      '--input-type=module',
      '-e',
      module,
    ]);
    return stdout;
  }

  async close(): Promise<void> {
    await Promise.all(this.sandboxes.map((sandbox) => sandbox.close()));
    await rm(this.directory, { recursive: true });
  }
}

/** A bundle whose one action, `act`, has the given body; `k` is its context. */
export function bundle(body: string, before = ''): string {
  return `${before}
    var __stepwell_plugin = { default: {
      stepwell: 1,
      describe() { return { id: 'hostile', actions: [{ id: 'act' }] }; },
      async run(action, k) { ${body} },
    } };`;
}

export function stepCall(source: string, options: CallOptions = {}): StepCall {
  return {
    id: 'attempt',
    tenantId: options.tenantId ?? 'tenant-a',
    plugin: {
      id: 'hostile',
      version: '1.0.0',
      digest: `sha256-${createHash('sha256').update(source).digest('hex')}`,
      tier: 'isolate',
      ...(options.trust === undefined ? {} : { trust: options.trust }),
    },
    action: {
      id: 'act',
      form: 'code',
      input: true,
      output: true,
      effects: 'none',
      idempotency: 'none',
    },
    loadBundle: () => Promise.resolve(source),
    input: options.input ?? {},
    credential: options.credential ?? null,
    idempotencyKey: 'execution:step:0',
    limits: { ...DEFAULT_LIMITS, ...options.limits },
  };
}

/** Runs the body of an action and gives the result. */
export function act(
  sandbox: IsolateSandbox,
  body: string,
  options: CallOptions = {},
): Promise<ProviderResult> {
  return actBundle(sandbox, bundle(body), options);
}

export function actBundle(
  sandbox: IsolateSandbox,
  source: string,
  options: CallOptions = {},
): Promise<ProviderResult> {
  const signal = options.signal ?? new AbortController().signal;
  return sandbox.run(stepCall(source, options), options.host ?? new RecordingHost(), signal);
}

/** What a call ended with: `ok`, or the code of its error. */
export function verdict({ success, error }: ProviderResult): string {
  return success ? 'ok' : (error?.code ?? 'no error');
}

/** Answers every request, and remembers it. */
export class RecordingHost implements HostCalls {
  readonly requests: OutboundRequest[] = [];
  readonly lines: LogLine[] = [];
  inFlight = 0;
  mostInFlight = 0;

  constructor(
    private readonly answer: (
      request: OutboundRequest,
      signal: AbortSignal,
    ) => Promise<Partial<OutboundResponse>> = () => Promise.resolve({}),
  ) {}

  async http(request: OutboundRequest, signal: AbortSignal): Promise<OutboundResponse> {
    this.requests.push(request);
    this.mostInFlight = Math.max(this.mostInFlight, ++this.inFlight);
    try {
      return {
        status: 200,
        statusText: 'OK',
        url: request.url,
        redirected: false,
        headers: [['content-type', 'application/json']],
        body: Buffer.from('{}'),
        ...(await this.answer(request, signal)),
      };
    } finally {
      this.inFlight--;
    }
  }

  log(line: LogLine): void {
    this.lines.push(line);
  }
}

/** Polls until a condition holds. @throws Error when the deadline passes first. */
export async function eventually(condition: () => boolean, deadlineMs = 3000): Promise<void> {
  const until = performance.now() + deadlineMs;
  while (!condition()) {
    if (performance.now() > until) throw new Error('the condition did not come true in time');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** A child that speaks the protocol by hand; the script after it says what it does with a call. */
const HOSTILE_CHILD_PRELUDE = `
  const pipe = new (require('node:net').Socket)({ fd: 3 });
  const raw = (header, body) => {
    const head = Buffer.from(header);
    const lengths = Buffer.alloc(8);
    lengths.writeUInt32BE(head.length, 0);
    lengths.writeUInt32BE(body.length, 4);
    return Buffer.concat([lengths, head, body]);
  };
  const send = (message, body = '', then) =>
    pipe.write(raw(JSON.stringify(message), Buffer.from(body)), then);
  let bytes = Buffer.alloc(0);
  pipe.on('data', (chunk) => {
    bytes = Buffer.concat([bytes, chunk]);
    while (bytes.length >= 8) {
      const [head, body] = [bytes.readUInt32BE(0), bytes.readUInt32BE(4)];
      if (bytes.length < 8 + head + body) break;
      const message = JSON.parse(bytes.subarray(8, 8 + head).toString());
      bytes = bytes.subarray(8 + head + body);
      if (message.type === 'call') onCall(message);
      if (message.type === 'answer') onAnswer(message);
    }
  });
  pipe.on('close', () => process.kill(process.pid, 'SIGKILL'));
  const done = (call, value) => send({ type: 'done', call, ok: true }, JSON.stringify(value));
  let onAnswer = () => {};
  send({ type: 'hello', node: process.version });
`;
