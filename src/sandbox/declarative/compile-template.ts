import type { Expression } from '../../common/expression/ast.js';
import { ExpressionError } from '../../common/expression/expression-error.js';
import { SchemaPlace } from '../../common/expression/expression-places.js';
import { EXPRESSION_FUNCTIONS } from '../../common/expression/functions.js';
import { parseInterpolation } from '../../common/expression/interpolation.js';
import type { InterpolationSyntax } from '../../common/expression/interpolation.js';
import { parseExpression } from '../../common/expression/parse-expression.js';
import { isJsonObject, pointerToken } from '../../common/json.js';
import type { JsonObject, JsonSchema, JsonValue } from '../../common/json.js';
import type { Condition, ObjectTemplate, ParameterExpression, Template } from './template.js';
import type { TemplateNames } from './template-names.js';

/** Where (JSON Pointer into the action) and what to do about it. */
export interface TemplateProblem {
  pointer: string;
  detail: string;
}

export const TEMPLATE_SYNTAX: InterpolationSyntax = {
  open: '{{',
  close: '}}',
  functions: EXPRESSION_FUNCTIONS,
};

const MAX_DEPTH = 32;
const MAX_NODES = 5000;
const STRUCTURAL_KEYS = ['$if', '$each', '$evaluate', '$spread'] as const;
const FORBIDDEN_KEYS: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);
const NOTHING: Template = { kind: 'constant', value: null };

/** A place in a template: where it is, and what its expressions may name. */
export interface TemplatePlace {
  readonly pointer: string;
  readonly names: TemplateNames;
}

/**
 * Turns templates of one action into what is run, collecting every problem on the way. What it
 * returns for a broken part is good for nothing but going on.
 */
export class TemplateCompiler {
  readonly problems: TemplateProblem[] = [];
  private nodes = 0;

  constructor(private readonly inputSchema: JsonSchema) {}

  template(value: JsonValue, place: TemplatePlace, depth = 0): Template {
    if (++this.nodes === MAX_NODES)
      this.report(place.pointer, `a template has at most ${String(MAX_NODES)} parts`);
    if (depth === MAX_DEPTH)
      this.report(place.pointer, `nested deeper than ${String(MAX_DEPTH)} levels`);
    if (depth >= MAX_DEPTH || this.nodes >= MAX_NODES) return NOTHING;
    if (typeof value === 'string') return this.text(value, place);
    if (typeof value !== 'object' || value === null) return { kind: 'constant', value };
    if (Array.isArray(value)) {
      const items = value.map((item, index) => this.template(item, below(place, index), depth + 1));
      return { kind: 'list', items };
    }
    return this.object(value, place, depth);
  }

  /** Text with `{{ expressions }}`. */
  text(value: string, place: TemplatePlace): Template {
    try {
      const text = parseInterpolation(value, TEMPLATE_SYNTAX);
      if (text === null) return { kind: 'constant', value };
      for (const part of text.parts) {
        if (part.kind === 'expression') this.checkNames(part.expression, place);
      }
      return { kind: 'text', text };
    } catch (error) {
      this.reportSyntax(place.pointer, error);
      return NOTHING;
    }
  }

  /** A bare expression, without braces. */
  expression(value: JsonValue | undefined, place: TemplatePlace): Expression {
    if (typeof value !== 'string') this.report(place.pointer, 'must be an expression, as text');
    try {
      const source = typeof value === 'string' ? value : 'null';
      const expression = parseExpression(source, { functions: EXPRESSION_FUNCTIONS });
      this.checkNames(expression, place);
      return expression;
    } catch (error) {
      this.reportSyntax(place.pointer, error);
      return parseExpression('null');
    }
  }

  report(pointer: string, detail: string): void {
    this.problems.push({ pointer, detail });
  }

  private object(value: JsonObject, place: TemplatePlace, depth: number): Template {
    const structural = STRUCTURAL_KEYS.filter((key) => Object.hasOwn(value, key));
    if (structural.length > 1) {
      this.report(place.pointer, `only one of ${structural.join(', ')} fits into one object`);
      return NOTHING;
    }
    switch (structural.at(0)) {
      case '$if':
        return this.conditional(value, place, depth);
      case '$each':
        return this.loop(value, place, depth);
      case '$evaluate':
        this.onlyKeys(value, ['$evaluate'], place);
        return this.parameter(value['$evaluate'], below(place, '$evaluate'));
      case '$spread':
      case undefined:
        return this.members(value, place, depth);
    }
  }

  private members(value: JsonObject, place: TemplatePlace, depth: number): ObjectTemplate {
    const isSpread = Object.hasOwn(value, '$spread');
    const spread = isSpread ? this.expression(value['$spread'], below(place, '$spread')) : null;
    const members = Object.entries(value)
      .filter(([key]) => key !== '$spread')
      .map(([key, member]) => {
        const at = below(place, key);
        if (FORBIDDEN_KEYS.has(key)) this.report(at.pointer, `the name "${key}" is not allowed`);
        if (key.includes('{{'))
          this.report(at.pointer, 'a name holds no expressions: write it out, or use merge()');
        // `$$if` writes a member that is really called `$if`.
        return [
          key.startsWith('$$') ? key.slice(1) : key,
          this.template(member, at, depth + 1),
        ] as const;
      });
    return { kind: 'object', spread, members };
  }

  private conditional(value: JsonObject, place: TemplatePlace, depth: number): Template {
    this.onlyKeys(value, ['$if', 'then', 'else'], place);
    this.needs(value, 'then', place);
    const otherwise = value['else'];
    return {
      kind: 'if',
      test: this.condition(value['$if'], below(place, '$if')),
      whenTrue: this.template(value['then'] ?? null, below(place, 'then'), depth + 1),
      whenFalse:
        otherwise === undefined ? null : this.template(otherwise, below(place, 'else'), depth + 1),
    };
  }

  private loop(value: JsonObject, place: TemplatePlace, depth: number): Template {
    this.onlyKeys(value, ['$each', 'as', 'where', 'do'], place);
    this.needs(value, 'do', place);
    const name = this.itemName(value['as'] ?? 'item', below(place, 'as'));
    const inner = { ...place, names: place.names.with(name, 'index') };
    const { where } = value;
    return {
      kind: 'each',
      list: this.expression(value['$each'], below(place, '$each')),
      name,
      where: where === undefined ? null : this.condition(where, below(inner, 'where')),
      body: this.template(value['do'] ?? null, below(inner, 'do'), depth + 1),
    };
  }

  private condition(value: JsonValue | undefined, place: TemplatePlace): Condition {
    if (isJsonObject(value) && Object.hasOwn(value, '$evaluate')) {
      this.onlyKeys(value, ['$evaluate'], place);
      return this.parameter(value['$evaluate'], below(place, '$evaluate'));
    }
    return { kind: 'expression', expression: this.expression(value, place) };
  }

  /** Only marked parameters: anything else in the input may come from outside, and is data. */
  private parameter(value: JsonValue | undefined, place: TemplatePlace): ParameterExpression {
    const pointer = typeof value === 'string' && value.startsWith('/') ? value : '/';
    const tokens = pointer.split('/').slice(1);
    let schema = SchemaPlace.of(this.inputSchema);
    for (const token of tokens)
      schema = schema?.child(token.replaceAll('~1', '/').replaceAll('~0', '~')) ?? null;
    if (schema?.isExpression !== true) {
      this.report(
        place.pointer,
        'must point at a parameter that the input schema marks "x-stepwell-expression": true',
      );
    }
    return { kind: 'parameter', pointer };
  }

  private itemName(value: JsonValue, place: TemplatePlace): string {
    const name = typeof value === 'string' ? value : '';
    if (!/^[a-z_][a-zA-Z0-9_]{0,31}$/.test(name) || RESERVED_NAMES.has(name)) {
      this.report(place.pointer, 'must be a name of its own, such as "item"');
    } else if (place.names.has(name)) {
      this.report(place.pointer, `"${name}" already stands for something else here`);
    }
    return name;
  }

  private onlyKeys(value: JsonObject, known: readonly string[], place: TemplatePlace): void {
    for (const key of Object.keys(value)) {
      if (!known.includes(key))
        this.report(below(place, key).pointer, `not known here: use ${known.join(', ')}`);
    }
  }

  private needs(value: JsonObject, key: string, place: TemplatePlace): void {
    if (!Object.hasOwn(value, key)) this.report(place.pointer, `"${key}" is missing`);
  }

  private checkNames(expression: Expression, place: TemplatePlace): void {
    for (const path of expression.paths) {
      const detail = place.names.problemOf(path);
      if (detail !== null) this.report(place.pointer, detail);
    }
  }

  private reportSyntax(pointer: string, error: unknown): void {
    if (!(error instanceof ExpressionError)) throw error;
    this.report(pointer, `${error.message} (at character ${String(error.offset + 1)})`);
  }
}

const RESERVED_NAMES: ReadonlySet<string> = new Set([
  ...['input', 'credential', 'secret', 'response', 'index', 'true', 'false', 'null'],
  ...FORBIDDEN_KEYS,
]);

function below(place: TemplatePlace, key: string | number): TemplatePlace {
  return { ...place, pointer: `${place.pointer}/${pointerToken(key)}` };
}
