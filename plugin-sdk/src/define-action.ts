import type { ActionContext } from './context.js';
import { DefinitionChecks } from './definition-checks.js';
import type { Effects, HttpTemplate, Idempotency, JsonValue } from './manifest.js';
import type { ActionSchema, InputOf, ReturnOf } from './schema.js';

/**
 * Declares an action in one of three forms: code (`run`), an HTTP exchange as data (`http`), or a
 * value as data (`value`). The types of `ctx.input` and of what `run` returns come from the schemas:
 * Standard Schemas with JSON Schema output (zod 4 and others) or plain JSON Schema objects.
 * @throws TypeError that names each wrong field and says what to write instead
 */
export function defineAction<const I extends ActionSchema, const O extends ActionSchema>(
  definition: CodeAction<I, O> | HttpAction | ValueAction,
): ActionDefinition {
  checkAction(definition);
  // `run` takes the input type of its own schema; definePlugin calls it with what passed that schema.
  return Object.freeze({ ...definition }) as ActionDefinition;
}

/** What every form of action says of itself. */
export interface ActionFacts {
  /** Lower-case letters, digits and underscores, such as `send_message`. Part of the contract: plans name it. */
  readonly id: string;
  readonly title?: string;
  readonly description?: string;
  /** What the action does to the world; decides whether a step may be sent again. */
  readonly effects: Effects;
  /** Default `none`: doing it twice does it twice. */
  readonly idempotency?: Idempotency;
  /** The action reaches hosts that its caller names; needs the host permission `*` or `fromInput`. */
  readonly generic?: boolean;
}

/** An action whose code runs in the isolate. */
export interface CodeAction<I extends ActionSchema, O extends ActionSchema> extends ActionFacts {
  readonly input: I;
  readonly output: O;
  run(ctx: ActionContext<InputOf<I>>): ReturnOf<O> | Promise<ReturnOf<O>>;
  readonly http?: never;
  readonly value?: never;
}

/** An action that the host executes as one HTTP exchange, without any code. */
export interface HttpAction extends ActionFacts {
  readonly input: ActionSchema;
  readonly output: ActionSchema;
  readonly http: HttpTemplate;
  readonly run?: never;
  readonly value?: never;
}

/** An action whose output the host builds from its input, without any code. */
export interface ValueAction extends ActionFacts {
  readonly input: ActionSchema;
  readonly output: ActionSchema;
  readonly value: JsonValue;
  readonly run?: never;
  readonly http?: never;
}

/** A checked action, ready for `definePlugin`. */
export interface ActionDefinition extends ActionFacts {
  readonly input: ActionSchema;
  readonly output: ActionSchema;
  readonly run?: (ctx: ActionContext<unknown>) => unknown;
  readonly http?: HttpTemplate;
  readonly value?: JsonValue;
}

const FIELDS = [
  'id',
  'title',
  'description',
  'effects',
  'idempotency',
  'generic',
  'input',
  'output',
  'run',
  'http',
  'value',
];

function checkAction(definition: object): void {
  const checks = new DefinitionChecks('defineAction', definition);
  checks.onlyFields(FIELDS);
  checks.id('id');
  checks.optionalText('title');
  checks.optionalText('description');
  checks.schema('input');
  checks.schema('output');
  checks.effects('effects');
  checks.oneOf('idempotency', ['none', 'key', 'natural']);
  checks.optionalFlag('generic');
  checks.exactlyOne(['run', 'http', 'value']);
  checks.optionalFunction('run');
  checks.finish();
}
