import type { JsonPrimitive } from '../json.js';
import { pathSegment } from './ast.js';
import type {
  CompareOperator,
  Expression,
  ExpressionNode,
  LogicalNode,
  PathNode,
  PathSegment,
} from './ast.js';
import { ExpressionError } from './expression-error.js';
import type { ExpressionFunction } from './function-spec.js';
import { tokenize } from './lexer.js';
import type { Mark, Token } from './lexer.js';

export interface ParseOptions {
  /** Functions that may be called; with any, `test ? a : b` is allowed as well. Default: none. */
  readonly functions?: ReadonlyMap<string, ExpressionFunction>;
  /** `fallback`: paths, literals and `??` alone, as in a reference. Default: `all`. */
  readonly operators?: 'all' | 'fallback';
  /** Whether `${path}` may stand for an operand, as in `when`. Default: false. */
  readonly dollarBraces?: boolean;
}

export const MAX_EXPRESSION_CHARACTERS = 8 * 1024;
const MAX_NODES = 1000;
/** Of brackets, calls and conditions in one another: well within any stack. */
const MAX_NESTING = 50;

/**
 * Parses one expression.
 *
 * Operators, weakest first: `? :`, `??`, `||`, `&&`, `== !=`, `< <= > >=`, `!`. As in JavaScript;
 * but `??` next to another operator must stand in parentheses, since `input.count ?? 0 > 3` would
 * mean `input.count ?? (0 > 3)`, which nobody wants.
 *
 * @throws ExpressionError `syntax`, and nothing else
 */
export function parseExpression(source: string, options: ParseOptions = {}): Expression {
  if (source.length > MAX_EXPRESSION_CHARACTERS) {
    throw new ExpressionError('syntax', 'an expression has at most 8192 characters', 0);
  }
  const parser = new Parser(source, tokenize(source), options);
  return { source, root: parser.parseAll(), paths: parser.paths };
}

type Operator = '?' | LogicalNode['operator'] | CompareOperator;

const PRECEDENCE: Readonly<Record<Operator, number>> = {
  '?': 1,
  '??': 2,
  '||': 3,
  '&&': 4,
  '==': 5,
  '!=': 5,
  '<': 6,
  '<=': 6,
  '>': 6,
  '>=': 6,
};
const UNARY_PRECEDENCE = 7;

const KEYWORDS: ReadonlyMap<string, JsonPrimitive> = new Map<string, JsonPrimitive>([
  ['true', true],
  ['false', false],
  ['null', null],
]);

/** They would reach into prototypes if a later change ever read more than own properties. */
const FORBIDDEN_NAMES: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

/** A parser after Vaughan Pratt, "Top Down Operator Precedence" (1973). */
class Parser {
  readonly paths: PathNode[] = [];
  private at = 0;
  private nodes = 0;
  private nesting = 0;
  /** Operators written inside parentheses or braces: those mix with `??` freely. */
  private readonly grouped = new WeakSet<ExpressionNode>();

  constructor(
    private readonly source: string,
    private readonly tokens: readonly Token[],
    private readonly options: ParseOptions,
  ) {}

  parseAll(): ExpressionNode {
    if (this.peek().kind === 'end') throw this.unexpected('the expression is empty');
    const root = this.parse(0);
    if (this.peek().kind !== 'end') throw this.unexpected('expected an operator or the end');
    return root;
  }

  private parse(minPrecedence: number): ExpressionNode {
    if (++this.nesting > MAX_NESTING) throw this.unexpected('nested too deeply');
    let left = this.parseOperand();
    for (;;) {
      const { kind, value, offset } = this.peek();
      if (kind !== 'mark' || !isOperator(value)) break;
      const precedence = PRECEDENCE[value];
      if (precedence <= minPrecedence) break;
      this.at++;
      left = this.parseOperation(left, { operator: value, offset }, precedence);
    }
    this.nesting--;
    return left;
  }

  private parseOperation(
    left: ExpressionNode,
    { operator, offset }: { operator: Operator; offset: number },
    precedence: number,
  ): ExpressionNode {
    if (this.options.operators === 'fallback' && operator !== '??') {
      throw syntax(`"${operator}" is not allowed in a reference, only "??"`, offset);
    }
    if (operator === '?') return this.parseCondition(left, offset);
    const right = this.parse(precedence);
    this.refuseMixing(operator, [left, right], offset);
    return operator === '??' || operator === '&&' || operator === '||'
      ? this.counted({ kind: 'logical', operator, left, right, offset })
      : this.counted({ kind: 'compare', operator, left, right, offset });
  }

  private parseCondition(test: ExpressionNode, offset: number): ExpressionNode {
    if (this.options.functions === undefined) throw syntax('"? :" is not allowed here', offset);
    const whenTrue = this.parse(0);
    this.expect(':');
    const whenFalse = this.parse(0);
    return this.counted({ kind: 'condition', test, whenTrue, whenFalse, offset });
  }

  private refuseMixing(operator: Operator, sides: readonly ExpressionNode[], offset: number): void {
    for (const side of sides) {
      if (this.grouped.has(side)) continue;
      const inner = side.kind === 'logical' || side.kind === 'compare' ? side.operator : null;
      if (inner !== null && inner !== operator && (inner === '??' || operator === '??')) {
        throw syntax(
          `put parentheses where "??" meets "${inner === '??' ? operator : inner}"`,
          offset,
        );
      }
    }
  }

  private parseOperand(): ExpressionNode {
    const token = this.next();
    switch (token.kind) {
      case 'string':
        return this.parseMembers(this.parseText(token));
      case 'number':
        return this.counted({ kind: 'literal', value: token.value, offset: token.offset });
      case 'name':
        return this.parseName(token);
      case 'mark':
        return this.parseMarked(token);
      case 'member':
      case 'end':
        this.at--;
        throw this.unexpected('expected a value');
    }
  }

  private parseText({ value, offset }: Token & { kind: 'string' }): ExpressionNode {
    if (this.options.dollarBraces && value.includes('${')) {
      throw syntax('write a reference without quotes around it', offset);
    }
    return this.counted({ kind: 'literal', value, offset });
  }

  private parseMarked({ value: mark, offset }: Token & { kind: 'mark' }): ExpressionNode {
    if (mark === '(') return this.parseMembers(this.parseGroup(')'));
    if (mark === '${' && this.options.dollarBraces) return this.parseGroup('}');
    if (mark === '!') {
      if (this.options.operators === 'fallback')
        throw syntax('"!" is not allowed in a reference', offset);
      return this.counted({ kind: 'not', operand: this.parse(UNARY_PRECEDENCE), offset });
    }
    this.at--;
    throw this.unexpected('expected a value');
  }

  private parseGroup(close: Mark): ExpressionNode {
    const inner = this.parse(0);
    this.expect(close);
    this.grouped.add(inner);
    return inner;
  }

  private parseName({ value: name, offset, end }: Token & { kind: 'name' }): ExpressionNode {
    const keyword = KEYWORDS.get(name);
    if (keyword !== undefined) return this.counted({ kind: 'literal', value: keyword, offset });
    const following = this.peek();
    if (following.kind === 'mark' && following.value === '(') return this.parseCall(name, offset);
    refuseForbidden(name, offset);
    const segments = this.parseSegments();
    const last = segments.length === 0 ? end : this.previousEnd();
    const text = this.source.slice(offset, last);
    const path: PathNode = { kind: 'path', root: name, segments, text, offset };
    this.paths.push(path);
    return this.counted(path);
  }

  private parseCall(name: string, offset: number): ExpressionNode {
    const called = this.options.functions?.get(name);
    if (called === undefined) {
      const known = this.options.functions;
      const reason = known ? `there is no function "${name}"` : 'functions are not allowed here';
      throw syntax(reason, offset);
    }
    this.expect('(');
    const args = this.parseArguments();
    if (args.length < called.minArgs || args.length > called.maxArgs) {
      throw syntax(`wrong number of arguments: ${called.usage}`, offset);
    }
    return this.parseMembers(this.counted({ kind: 'call', called, args, offset }));
  }

  private parseArguments(): ExpressionNode[] {
    const args: ExpressionNode[] = [];
    if (this.accept(')')) return args;
    do args.push(this.parse(0));
    while (this.accept(','));
    this.expect(')');
    return args;
  }

  private parseMembers(object: ExpressionNode): ExpressionNode {
    const offset = this.peek().offset;
    const segments = this.parseSegments();
    if (segments.length === 0) return object;
    return this.counted({ kind: 'member', object, segments, offset });
  }

  private parseSegments(): PathSegment[] {
    const segments: PathSegment[] = [];
    for (;;) {
      const token = this.peek();
      if (token.kind === 'member') {
        this.at++;
        refuseForbidden(token.value, token.offset);
        segments.push(pathSegment(token.value));
      } else if (this.accept('[')) segments.push(this.parseBracket());
      else return segments;
      this.count();
    }
  }

  private parseBracket(): PathSegment {
    const token = this.next();
    if (token.kind !== 'string' && token.kind !== 'number') {
      throw syntax('expected a position or a quoted name between "[" and "]"', token.offset);
    }
    const segment = pathSegment(String(token.value));
    if (token.kind === 'number' && segment.index < 0) {
      throw syntax('a position is a whole number from 0', token.offset);
    }
    refuseForbidden(segment.key, token.offset);
    this.expect(']');
    return segment;
  }

  private counted<T extends ExpressionNode>(node: T): T {
    this.count();
    return node;
  }

  private count(): void {
    if (++this.nodes > MAX_NODES) throw this.unexpected('the expression is too long');
  }

  private peek(): Token {
    return this.tokens[Math.min(this.at, this.tokens.length - 1)] as Token;
  }

  private next(): Token {
    const token = this.peek();
    this.at++;
    return token;
  }

  private previousEnd(): number {
    return this.tokens[this.at - 1]?.end ?? 0;
  }

  private accept(mark: Mark): boolean {
    const token = this.peek();
    if (token.kind !== 'mark' || token.value !== mark) return false;
    this.at++;
    return true;
  }

  private expect(mark: Mark): void {
    if (!this.accept(mark)) throw this.unexpected(`expected "${mark}"`);
  }

  private unexpected(message: string): ExpressionError {
    const token = this.peek();
    const found =
      token.kind === 'end'
        ? 'the end'
        : JSON.stringify(this.source.slice(token.offset, token.end).slice(0, 40));
    return syntax(`${message}, found ${found}`, token.offset);
  }
}

function isOperator(mark: Mark): mark is Operator & Mark {
  return Object.hasOwn(PRECEDENCE, mark);
}

function refuseForbidden(name: string, offset: number): void {
  if (FORBIDDEN_NAMES.has(name)) throw syntax(`the name "${name}" is not allowed`, offset);
}

function syntax(message: string, offset: number): ExpressionError {
  return new ExpressionError('syntax', message, offset);
}
