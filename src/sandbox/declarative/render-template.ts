import type { PathNode } from '../../common/expression/ast.js';
import { evaluateExpression } from '../../common/expression/evaluate.js';
import type { EvaluateOptions } from '../../common/expression/evaluate.js';
import type { Evaluated } from '../../common/expression/function-spec.js';
import {
  evaluateInterpolation,
  parseInterpolation,
} from '../../common/expression/interpolation.js';
import type { InterpolationSyntax } from '../../common/expression/interpolation.js';
import { membersOf } from '../../common/expression/members.js';
import { Meter } from '../../common/expression/meter.js';
import { parseExpression } from '../../common/expression/parse-expression.js';
import type { Scope } from '../../common/expression/read-path.js';
import { isTruthy, typeName } from '../../common/expression/values.js';
import { isJsonObject, readPointer } from '../../common/json.js';
import type { JsonObject, JsonValue } from '../../common/json.js';
import { parameterFault, TemplateFault } from './template-fault.js';
import type { TemplateScope } from './template-scope.js';
import type { Condition, ObjectTemplate, Template } from './template.js';

/** Of all templates of one call: at 0.2 µs for a step, 30 ms of the host's own thread at worst. */
export const TEMPLATE_LIMITS = { maxSteps: 150_000, maxSize: 8 * 1024 * 1024 } as const;

const REFERENCE_SYNTAX: InterpolationSyntax = {
  open: '${',
  close: '}',
  escape: '$${',
  operators: 'fallback',
};

/**
 * Renders templates over the values of one call, within one budget.
 *
 * A path that leads nowhere is `undefined`: such a member is left out of its object, such an item of
 * a list is null, and in text it is empty. So optional input needs no ceremony.
 *
 * Every method throws ExpressionError or TemplateFault, and nothing else.
 */
export class TemplateRenderer {
  private readonly options: EvaluateOptions & { readonly meter: Meter };
  /** Parameters that are expressions, parsed once however many items they are tried on. */
  private readonly parameters = new Map<string, () => Evaluated>();

  constructor(
    private readonly scope: TemplateScope,
    meter = new Meter(TEMPLATE_LIMITS),
  ) {
    this.options = { missing: 'allow', meter };
  }

  get meter(): Meter {
    return this.options.meter;
  }

  render(template: Template): Evaluated {
    this.meter.step();
    switch (template.kind) {
      case 'constant':
        return template.value;
      case 'text':
        return evaluateInterpolation(template.text, this.scope, this.options);
      case 'list':
        this.meter.grow(template.items.length);
        return template.items.map((item) => this.render(item) ?? null);
      case 'object':
        return this.renderObject(template);
      case 'if': {
        const branch =
          (this.holds(template.test) ?? false) ? template.whenTrue : template.whenFalse;
        return branch === null ? undefined : this.render(branch);
      }
      case 'each':
        return this.renderEach(template);
      case 'parameter':
        return this.renderParameter(template.pointer);
    }
  }

  /** Whether a condition holds; undefined when it is a parameter that wasn't given. */
  holds(condition: Condition): boolean | undefined {
    if (condition.kind === 'expression') {
      return isTruthy(evaluateExpression(condition.expression, this.scope, this.options));
    }
    const { pointer } = condition;
    const value = this.parameter(pointer, 'condition', (given) => {
      if (typeof given === 'boolean') return () => given;
      if (typeof given !== 'string') {
        const message = `the expression in ${pointer} must be text, not ${typeName(given)}`;
        throw new TemplateFault('input.invalid', message, { pointer });
      }
      const expression = parseExpression(given, { dollarBraces: true });
      return () => evaluateExpression(expression, this.authorScope, { meter: this.meter });
    });
    return value === undefined ? undefined : isTruthy(value);
  }

  renderObject({ spread, members }: ObjectTemplate): JsonObject {
    this.meter.grow(members.length);
    const own: [string, JsonValue][] = spread === null ? [] : this.spreadMembers(spread);
    for (const [key, member] of members) {
      const value = this.render(member);
      if (value !== undefined) own.push([key, value]);
    }
    return Object.fromEntries(own);
  }

  private spreadMembers(spread: NonNullable<ObjectTemplate['spread']>): [string, JsonValue][] {
    const value = evaluateExpression(spread, this.scope, this.options) ?? {};
    if (!isJsonObject(value)) {
      throw new TemplateFault('plugin.threw', `$spread needs an object, got ${typeName(value)}`);
    }
    const members = membersOf(value, this.meter);
    this.meter.grow(members.length);
    return members;
  }

  private renderEach({ list, name, where, body }: Template & { kind: 'each' }): JsonValue[] {
    const items = evaluateExpression(list, this.scope, this.options) ?? [];
    if (!Array.isArray(items)) {
      throw new TemplateFault('plugin.threw', `$each needs a list, got ${typeName(items)}`);
    }
    const made: JsonValue[] = [];
    this.scope.each(name, items, () => {
      this.meter.step();
      if (where !== null && this.holds(where) === false) return;
      this.meter.grow(1);
      made.push(this.render(body) ?? null);
    });
    return made;
  }

  private renderParameter(pointer: string): Evaluated {
    return this.parameter(pointer, 'value', (given) => this.prepareReferences(given));
  }

  private parameter(
    pointer: string,
    use: 'condition' | 'value',
    prepare: (given: JsonValue) => () => Evaluated,
  ): Evaluated {
    try {
      const key = `${use} ${pointer}`;
      let evaluate = this.parameters.get(key);
      if (evaluate === undefined) {
        const given = readPointer(this.scope.values['input'] ?? null, pointer);
        evaluate = given === undefined ? () => undefined : prepare(given);
        this.parameters.set(key, evaluate);
      }
      return evaluate();
    } catch (error) {
      throw parameterFault(error, pointer);
    }
  }

  /** JSON whose texts may hold `${...}`, as in a plan. */
  private prepareReferences(given: JsonValue): () => Evaluated {
    this.meter.step();
    if (typeof given === 'string') {
      this.meter.convert(given.length);
      const text = parseInterpolation(given, REFERENCE_SYNTAX);
      if (text === null) return () => given;
      return () => evaluateInterpolation(text, this.authorScope, { meter: this.meter });
    }
    if (Array.isArray(given)) {
      const items = given.map((item) => this.prepareReferences(item));
      return () =>
        this.made(
          items.map((evaluate) => evaluate() ?? null),
          items.length,
        );
    }
    if (!isJsonObject(given)) return () => given;
    const members = Object.entries(given).map(
      ([key, value]) => [key, this.prepareReferences(value)] as const,
    );
    return () => {
      const made = members.map(([key, evaluate]) => [key, evaluate() ?? null] as const);
      return this.made(Object.fromEntries(made), members.length);
    };
  }

  private made<T>(value: T, size: number): T {
    this.meter.step(size);
    this.meter.grow(size + 1);
    return value;
  }

  /** A plan's author sees the input and the item at hand; neither the credential nor the response. */
  private readonly authorScope: Scope = {
    resolve: (path: PathNode) =>
      HIDDEN_NAMES.has(path.root) ? undefined : this.scope.resolve(path),
  };
}

const HIDDEN_NAMES: ReadonlySet<string> = new Set(['credential', 'response', 'idempotencyKey']);
