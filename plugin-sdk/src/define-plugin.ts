import { createContext } from './context.js';
import type { ActionDefinition } from './define-action.js';
import type { CredentialDefinition } from './define-credential.js';
import { DefinitionChecks } from './definition-checks.js';
import { InvalidInput, InvalidOutput } from './errors.js';
import type { ActionManifest, CredentialManifest, PluginDescription } from './manifest.js';
import type { KernelContext, PluginModule } from './runtime.js';
import { checkAgainst, describeProblems, toJsonSchema } from './schema.js';

/**
 * The default export of a plugin's entry file.
 * @throws TypeError that names each wrong field and says what to write instead
 */
export function definePlugin(definition: PluginDefinition): PluginModule {
  checkPlugin(definition);
  const actions = new Map(definition.actions.map((action) => [action.id, action]));
  // Schemas are converted in `describe` alone: every call of an action loads this module anew.
  return Object.freeze({
    stepwell: 1,
    describe: () => describe(definition),
    run(actionId: string, kernel: KernelContext) {
      const action = actions.get(actionId);
      if (action?.run === undefined) {
        return Promise.reject(new Error(`the plugin has no code for an action "${actionId}"`));
      }
      return runAction(action, action.run, kernel);
    },
  });
}

/** What `definePlugin` takes. */
export interface PluginDefinition {
  /** The provider's name in plans: the `id` of package.json's `stepwell` part. */
  readonly id: string;
  readonly title?: string;
  readonly description?: string;
  /** At least one, each with an id of its own. */
  readonly actions: readonly ActionDefinition[];
  /** Every type of credential that an action names; others may be listed, too. */
  readonly credentials?: readonly CredentialDefinition[];
}

async function runAction(
  action: ActionDefinition,
  run: NonNullable<ActionDefinition['run']>,
  kernel: KernelContext,
): Promise<unknown> {
  const input = await checkAgainst(action.input, kernel.input);
  if (input.problems !== undefined) {
    const { pointer } = input.problems[0];
    throw new InvalidInput(`invalid input: ${describeProblems(input.problems)}`, { pointer });
  }
  const output = await checkAgainst(action.output, await run(createContext(kernel, input.value)));
  if (output.problems === undefined) return output.value;
  throw new InvalidOutput(
    `the action returned what its output schema forbids: ${describeProblems(output.problems)}`,
  );
}

function describe(definition: PluginDefinition): PluginDescription {
  const { credentials = [] } = definition;
  return {
    id: definition.id,
    ...facts(definition),
    actions: definition.actions.map(describeAction),
    ...(credentials.length === 0 ? {} : { credentials: credentials.map(describeCredential) }),
  };
}

function describeCredential(credential: CredentialDefinition): CredentialManifest {
  const { id, kind, fields, hosts, inject, test } = credential;
  return {
    id,
    ...facts(credential),
    kind,
    fields,
    hosts,
    inject,
    ...(test === undefined ? {} : { test }),
  };
}

function describeAction(action: ActionDefinition): ActionManifest {
  return {
    id: action.id,
    ...facts(action),
    form: formOf(action),
    input: toJsonSchema(action.input, 'input'),
    output: toJsonSchema(action.output, 'output'),
    effects: action.effects,
    idempotency: action.idempotency ?? 'none',
    ...(action.generic === true ? { generic: true } : {}),
    ...(action.credential === undefined ? {} : { credential: action.credential.id }),
    ...(action.credentialOptional === true ? { credentialOptional: true } : {}),
    ...(action.http === undefined ? {} : { http: action.http }),
    ...(action.value === undefined ? {} : { value: action.value }),
    ...(action.wait === undefined ? {} : { wait: action.wait }),
  };
}

function formOf({ http, value, wait }: ActionDefinition): ActionManifest['form'] {
  if (http !== undefined) return 'http';
  if (value !== undefined) return 'value';
  return wait === undefined ? 'code' : 'wait';
}

function facts(from: { title?: string; description?: string }): {
  title?: string;
  description?: string;
} {
  return {
    ...(from.title === undefined ? {} : { title: from.title }),
    ...(from.description === undefined ? {} : { description: from.description }),
  };
}

function checkPlugin(definition: PluginDefinition): void {
  const checks = new DefinitionChecks('definePlugin', definition);
  checks.onlyFields(['id', 'title', 'description', 'actions', 'credentials']);
  checks.id('id');
  checks.optionalText('title');
  checks.optionalText('description');
  const actions: unknown = definition.actions;
  if (!Array.isArray(actions) || actions.length === 0) {
    checks.problem('actions', 'must be a list of at least one defineAction(...)');
  } else {
    for (const id of repeated(definition.actions)) {
      checks.problem('actions', `holds "${id}" twice: give each action an id of its own`);
    }
    checkCredentials(checks, definition);
  }
  checks.finish();
}

function checkCredentials(checks: DefinitionChecks, definition: PluginDefinition): void {
  const given: unknown = definition.credentials;
  if (given !== undefined && !Array.isArray(given)) {
    checks.problem('credentials', 'must be a list of defineCredential(...)');
    return;
  }
  const { credentials = [] } = definition;
  for (const id of repeated(credentials)) {
    checks.problem('credentials', `holds "${id}" twice: give each credential an id of its own`);
  }
  const used = definition.actions.flatMap(({ credential }) => credential ?? []);
  for (const credential of new Set(used)) {
    if (credentials.includes(credential)) continue;
    const isOther = credentials.some(({ id }) => id === credential.id);
    const advice = isOther
      ? `holds another "${credential.id}" than the one that an action names: use one object for both`
      : `lacks "${credential.id}", which an action names: add it`;
    checks.problem('credentials', advice);
  }
}

function repeated(definitions: readonly { readonly id: string }[]): Set<string> {
  const ids = definitions.map(({ id }) => id);
  return new Set(ids.filter((id, index) => ids.indexOf(id) !== index));
}
