import type { Expression } from '../../common/expression/ast.js';
import { evaluateExpression } from '../../common/expression/evaluate.js';
import { ExpressionError } from '../../common/expression/expression-error.js';
import type { Evaluated } from '../../common/expression/function-spec.js';
import { fitsInBytes, isTruthy, writeAsText } from '../../common/expression/values.js';
import type { JsonObject } from '../../common/json.js';
import { stepFailed, stepSucceeded } from '../../common/provider-result.js';
import type { ProviderResult } from '../../common/provider-result.js';
import type { HostCalls, Sandbox, StepCall } from '../sandbox.js';
import { compileAction } from './compile-action.js';
import type { CompiledAction } from './compile-action.js';
import type { CompiledHttp } from './compile-http.js';
import type { TemplateProblem } from './compile-template.js';
import { renderWait } from './compile-wait.js';
import { abortedResult, exchange } from './http-exchange.js';
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
    const request = renderRequest(http, { renderer, scope });
    const { wallMs } = call.limits;
    const sent = await exchange(request, host, { signal, wallMs });
    if (sent.failure !== null) return sent.failure;
    const response = readResponse(sent.answer);
    const after = new TemplateScope({ input, response });
    const afterRenderer = new TemplateRenderer(after, renderer.meter);
    if (isOk(http, response, { after, afterRenderer })) {
      const output = http.output === null ? response.body : afterRenderer.render(http.output);
      return succeeded(output, call, { http_status: response.status });
    }
    return refusalResult({
      request,
      response,
      bytes: sent.answer.body,
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
