import type { ActionContext } from './context.js';
import type { CredentialDefinition, CredentialOf } from './define-credential.js';
import { DefinitionChecks } from './definition-checks.js';
import type { Effects, HttpTemplate, Idempotency, JsonValue, WaitTemplate } from './manifest.js';
import type { ActionSchema, InputOf, ReturnOf } from './schema.js';

/**
 * Declares an action in one of four forms: code (`run`), an HTTP exchange as data (`http`), a value
 * as data (`value`), or something to wait for, as data (`wait`). The types of `ctx.input` and of what `run` returns come from the schemas:
 * Standard Schemas with JSON Schema output (zod 4 and others) or plain JSON Schema objects.
 * @throws TypeError that names each wrong field and says what to write instead
 */
export function defineAction<
  const I extends ActionSchema,
  const O extends ActionSchema,
  C extends CredentialDefinition | undefined = undefined,
  const Optional extends boolean = false,
>(
  definition: CodeAction<I, O, C, Optional> | HttpAction | ValueAction | WaitAction,
): ActionDefinition {
  checkAction(definition);
  const isWait = definition.wait !== undefined;
  // `run` takes the input type of its own schema; definePlugin calls it with what passed that schema.
  return Object.freeze({ ...definition, ...(isWait ? WAIT_FACTS : {}) }) as ActionDefinition;
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
export interface CodeAction<
  I extends ActionSchema,
  O extends ActionSchema,
  C extends CredentialDefinition | undefined = undefined,
  Optional extends boolean = false,
> extends ActionFacts {
  readonly input: I;
  readonly output: O;
  /** The type of credential that the action uses; also listed in `definePlugin`. */
  readonly credential?: C;
  /** The action also works without one: `ctx.credential` may be null. */
  readonly credentialOptional?: Optional;
  run(
    ctx: ActionContext<InputOf<I>, CredentialOf<C, Optional>>,
  ): ReturnOf<O> | Promise<ReturnOf<O>>;
  readonly http?: never;
  readonly value?: never;
  readonly wait?: never;
}

/** An action that the host executes as one HTTP exchange, without any code. */
export interface HttpAction extends ActionFacts {
  readonly input: ActionSchema;
  readonly output: ActionSchema;
  readonly credential?: CredentialDefinition;
  readonly credentialOptional?: boolean;
  readonly http: HttpTemplate;
  readonly run?: never;
  readonly value?: never;
  readonly wait?: never;
}

/** An action whose output the host builds from its input, without any code. */
export interface ValueAction extends ActionFacts {
  readonly input: ActionSchema;
  readonly output: ActionSchema;
  readonly value: JsonValue;
  /** A value sends no request. */
  readonly credential?: never;
  readonly credentialOptional?: never;
  readonly run?: never;
  readonly http?: never;
  readonly wait?: never;
}

/** An action whose step waits for something; the host describes it from the input, without any code. */
export interface WaitAction extends Omit<ActionFacts, 'effects' | 'idempotency' | 'generic'> {
  readonly input: ActionSchema;
  /** Of what there is when the wait is over; each kind gives its own (docs/plans.md). */
  readonly output: ActionSchema;
  readonly wait: WaitTemplate;
  /** Waiting does nothing: may be left out. */
  readonly effects?: 'none';
  /** May be left out. */
  readonly idempotency?: 'natural';
  readonly generic?: never;
  /** A wait sends no request. */
  readonly credential?: never;
  readonly credentialOptional?: never;
  readonly run?: never;
  readonly http?: never;
  readonly value?: never;
}

/** A checked action, ready for `definePlugin`. */
export interface ActionDefinition extends ActionFacts {
  readonly input: ActionSchema;
  readonly output: ActionSchema;
  readonly credential?: CredentialDefinition;
  readonly credentialOptional?: boolean;
  readonly run?: (ctx: ActionContext<unknown>) => unknown;
  readonly http?: HttpTemplate;
  readonly value?: JsonValue;
  readonly wait?: WaitTemplate;
}

const WAIT_FACTS = { effects: 'none', idempotency: 'natural' } as const;

const FIELDS = [
  'id',
  'title',
  'description',
  'effects',
  'idempotency',
  'generic',
  'credential',
  'credentialOptional',
  'input',
  'output',
  'run',
  'http',
  'value',
  'wait',
];

function checkAction(definition: {
  readonly credential?: unknown;
  readonly credentialOptional?: unknown;
  readonly value?: unknown;
  readonly wait?: unknown;
}): void {
  const checks = new DefinitionChecks('defineAction', definition);
  checks.onlyFields(FIELDS);
  checks.id('id');
  checks.optionalText('title');
  checks.optionalText('description');
  checks.schema('input');
  checks.schema('output');
  if (definition.wait === undefined) {
    checks.effects('effects');
    checks.oneOf('idempotency', ['none', 'key', 'natural']);
  } else {
    checks.oneOf('effects', ['none']);
    checks.oneOf('idempotency', ['natural']);
  }
  checks.optionalFlag('generic');
  checks.optionalFlag('credentialOptional');
  const { credential } = definition;
  if (credential === undefined) {
    if (definition.credentialOptional === true) {
      checks.problem('credentialOptional', 'stands alone: name the `credential` that is optional');
    }
  } else if (typeof credential !== 'object' || credential === null || !('inject' in credential)) {
    checks.problem('credential', 'must be what defineCredential(...) returned');
  } else if (definition.value !== undefined || definition.wait !== undefined) {
    checks.problem('credential', 'is of no use: values and waits send no request');
  }
  checks.exactlyOne(['run', 'http', 'value', 'wait']);
  checks.optionalFunction('run');
  checks.finish();
}
