import type { Expression } from '../../common/expression/ast.js';
import { evaluateExpression } from '../../common/expression/evaluate.js';
import { ExpressionError } from '../../common/expression/expression-error.js';
import type { Evaluated } from '../../common/expression/function-spec.js';
import { fitsInBytes, isTruthy, writeAsText } from '../../common/expression/values.js';
import type { JsonObject } from '../../common/json.js';
import { stepFailed, stepSucceeded } from '../../common/provider-result.js';
import type { ProviderResult } from '../../common/provider-result.js';
import { HostCallError } from '../sandbox.js';
import type {
  HostCalls,
  OutboundRequest,
  OutboundResponse,
  Sandbox,
  StepCall,
} from '../sandbox.js';
import { compileAction } from './compile-action.js';
import type { CompiledAction, CompiledHttp } from './compile-action.js';
import type { TemplateProblem } from './compile-template.js';
import { renderWait } from './compile-wait.js';
import { renderRequest } from './http-request.js';
import { readResponse, refusalResult } from './http-response.js';
import type { ResponseView } from './http-response.js';
import { TemplateRenderer } from './render-template.js';
import { failureOf } from './template-fault.js';
import { TemplateScope } from './template-scope.js';
import type { Template } from './template.js';

export interface DeclarativeSandboxOptions {
  /** How many actions stay compiled. Default: 1,000. */
  readonly maxCompiled?: number;
  /** Milliseconds since the epoch; for dates in Retry-After. */
  readonly now?: () => number;
}

/**
 * Runs actions that are data: value, HTTP and wait templates. No isolate and no code of the plugin,
 * so a value costs microseconds; budgets on steps and sizes keep it off the host's back. The output
 * of a wait is what its step shall wait for: a `WaitRequest`, as far as its input made one.
 */
export class DeclarativeSandbox implements Sandbox {
  private readonly compiled = new Map<string, Compilation>();
  private readonly maxCompiled: number;
  private readonly now: () => number;

  constructor(options: DeclarativeSandboxOptions = {}) {
    this.maxCompiled = options.maxCompiled ?? 1000;
    this.now = options.now ?? Date.now;
  }

  async run(call: StepCall, host: HostCalls, signal: AbortSignal): Promise<ProviderResult> {
    if (signal.aborted) return abortedResult(signal);
    const { compiled, problems } = this.compile(call);
    const [problem] = problems;
    if (problem !== undefined) {
      return stepFailed(
        'plugin.load_failed',
        `the template is broken at ${problem.pointer}: ${problem.detail}`,
      );
    }
    try {
      if (compiled.form === 'http')
        return await this.runHttp(compiled.http, call, { host, signal });
      const renderer = new TemplateRenderer(new TemplateScope({ input: call.input }));
      const output =
        compiled.form === 'wait'
          ? renderWait(compiled.wait, renderer)
          : renderer.render(compiled.value);
      return succeeded(output, call);
    } catch (error) {
      return failureOf(error);
    }
  }

  private async runHttp(
    http: CompiledHttp,
    call: StepCall,
    { host, signal }: { host: HostCalls; signal: AbortSignal },
  ): Promise<ProviderResult> {
    const { input, idempotencyKey, credential } = call;
    const scope = new TemplateScope({ input, idempotencyKey, credential: credential ?? undefined });
    const renderer = new TemplateRenderer(scope);
    const request = { ...renderRequest(http, { renderer, scope }), timeoutMs: call.limits.wallMs };
    const exchange = await send(request, host, signal);
    if (exchange.failure !== null) return exchange.failure;
    const response = readResponse(exchange.answer);
    const after = new TemplateScope({ input, response });
    const afterRenderer = new TemplateRenderer(after, renderer.meter);
    if (isOk(http, response, { after, afterRenderer })) {
      const output = http.output === null ? response.body : afterRenderer.render(http.output);
      return succeeded(output, call, { http_status: response.status });
    }
    return refusalResult({
      action: call.action,
      method: request.method,
      statusText: exchange.answer.statusText,
      response,
      message: errorMessage(http.errorMessage, afterRenderer),
      code: errorCode(http.errorCode, { after, afterRenderer }),
      nowMs: this.now(),
    });
  }

  /** Least recently used ones go first; the key is the catalogue's. */
  private compile({ plugin, action }: StepCall): Compilation {
    const key = `${plugin.id}\n${plugin.version}\n${plugin.digest}\n${action.id}`;
    const known = this.compiled.get(key);
    const compilation = known ?? compileAction(action);
    if (known !== undefined) this.compiled.delete(key);
    this.compiled.set(key, compilation);
    if (this.compiled.size > this.maxCompiled) {
      for (const [oldest] of this.compiled) {
        this.compiled.delete(oldest);
        break;
      }
    }
    return compilation;
  }
}

interface Compilation {
  readonly compiled: CompiledAction;
  readonly problems: readonly TemplateProblem[];
}

type Exchange =
  | { readonly answer: OutboundResponse; readonly failure: null }
  | { readonly failure: ProviderResult };

/** Sends the request; when the signal aborts, the step ends at once, whatever the host is still doing. */
async function send(
  request: OutboundRequest,
  host: HostCalls,
  signal: AbortSignal,
): Promise<Exchange> {
  let abort = (): void => undefined;
  const aborted = new Promise<null>((resolve) => {
    abort = () => {
      resolve(null);
    };
    signal.addEventListener('abort', abort, { once: true });
  });
  try {
    const answer = await Promise.race([host.http(request, signal), aborted]);
    return answer === null ? { failure: abortedResult(signal) } : { answer, failure: null };
  } catch (error) {
    if (signal.aborted) return { failure: abortedResult(signal) };
    if (!(error instanceof HostCallError)) throw error;
    const details = error.details === undefined ? {} : { details: error.details };
    return { failure: stepFailed(error.code, error.message, details) };
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

function abortedResult(signal: AbortSignal): ProviderResult {
  const reason: unknown = signal.reason;
  const isTimeout = reason instanceof DOMException && reason.name === 'TimeoutError';
  return isTimeout
    ? stepFailed('step.timed_out', 'the step took longer than it may')
    : stepFailed('step.cancelled', 'the step was cancelled');
}

function succeeded(output: Evaluated, call: StepCall, metadata: JsonObject = {}): ProviderResult {
  const value = output ?? null;
  const { outputBytes } = call.limits;
  if (fitsInBytes(value, outputBytes)) return stepSucceeded(value, metadata);
  return stepFailed(
    'plugin.output_too_large',
    `the output takes more than ${String(outputBytes)} bytes`,
  );
}

function isOk(
  http: CompiledHttp,
  { status }: ResponseView,
  { after, afterRenderer }: { after: TemplateScope; afterRenderer: TemplateRenderer },
): boolean {
  if (http.okWhen === null) return status >= 200 && status <= 299;
  return isTruthy(
    evaluateExpression(http.okWhen, after, { missing: 'allow', meter: afterRenderer.meter }),
  );
}

/** Like a message: where it can't be told, the status tells. */
function errorCode(
  expression: Expression | null,
  { after, afterRenderer }: { after: TemplateScope; afterRenderer: TemplateRenderer },
): Evaluated {
  if (expression === null) return undefined;
  try {
    return evaluateExpression(expression, after, { missing: 'allow', meter: afterRenderer.meter });
  } catch (error) {
    if (error instanceof ExpressionError) return undefined;
    throw error;
  }
}

/** A message that can't be made must not hide the provider's answer. */
function errorMessage(template: Template | null, renderer: TemplateRenderer): string {
  if (template === null) return '';
  try {
    return writeAsText(renderer.render(template), renderer.meter).trim();
  } catch (error) {
    if (error instanceof ExpressionError) return '';
    throw error;
  }
}
