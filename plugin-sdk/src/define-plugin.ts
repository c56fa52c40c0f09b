import { createContext } from './context.js';
import type { ActionDefinition } from './define-action.js';
import { DefinitionChecks } from './definition-checks.js';
import { InvalidInput, InvalidOutput } from './errors.js';
import type { ActionManifest, PluginDescription } from './manifest.js';
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
  return {
    id: definition.id,
    ...facts(definition),
    actions: definition.actions.map(describeAction),
  };
}

function describeAction(action: ActionDefinition): ActionManifest {
  const form = action.http === undefined ? (action.value === undefined ? 'code' : 'value') : 'http';
  return {
    id: action.id,
    ...facts(action),
    form,
    input: toJsonSchema(action.input, 'input'),
    output: toJsonSchema(action.output, 'output'),
    effects: action.effects,
    idempotency: action.idempotency ?? 'none',
    ...(action.generic === true ? { generic: true } : {}),
    ...(action.http === undefined ? {} : { http: action.http }),
    ...(action.value === undefined ? {} : { value: action.value }),
  };
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
  checks.onlyFields(['id', 'title', 'description', 'actions']);
  checks.id('id');
  checks.optionalText('title');
  checks.optionalText('description');
  const actions: unknown = definition.actions;
  if (!Array.isArray(actions) || actions.length === 0) {
    checks.problem('actions', 'must be a list of at least one defineAction(...)');
  } else {
    const ids = definition.actions.map((action) => action.id);
    const twice = new Set(ids.filter((id, index) => ids.indexOf(id) !== index));
    for (const id of twice) {
      checks.problem('actions', `holds "${id}" twice: give each action an id of its own`);
    }
  }
  checks.finish();
}
