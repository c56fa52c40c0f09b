import type { AuthoredManifest, HostPermission, PluginDescription } from '@stepwell/plugin-sdk';

import type { JsonValue } from '../../common/json.js';
import { findCredentialProblems } from './credential-problems.js';
import { refuse } from './intake-error.js';
import type { IntakeProblem } from './intake-error.js';
import type { IntakePorts } from './intake-ports.js';
import { descriptionSchema } from './manifest-schemas.js';
import { check, under } from './problems.js';
import { findTextProblems } from './text-problems.js';

/**
 * Takes what `describe()` gave as a description.
 * @throws IntakeError `plugin.manifest_invalid` with every problem: shapes, schemas, templates, and
 *   what the description and the authored part say of each other
 */
export async function readDescription(
  value: JsonValue,
  authored: Pick<AuthoredManifest, 'id' | 'tier' | 'permissions'>,
  ports: IntakePorts,
): Promise<PluginDescription> {
  const checked = check(descriptionSchema, value);
  if (!checked.ok) {
    throw refuse(
      'plugin.manifest_invalid',
      'the plugin describes itself wrongly',
      checked.problems,
    );
  }
  const description = checked.value as PluginDescription;
  const problems = [
    ...findTextProblems(value),
    ...(await findActionProblems(description, ports)),
    ...findIdProblems(description, authored),
    ...findTierProblems(description, authored),
    ...findHostProblems(description, authored.permissions?.hosts ?? []),
    ...findCredentialProblems(description, authored.permissions?.hosts ?? []),
  ];
  if (problems.length === 0) return description;
  throw refuse('plugin.manifest_invalid', `plugin "${description.id}" breaks the rules`, problems);
}

/** Hosts that a caller names are for actions that say so, since they need consent of another kind. */
export function findHostProblems(
  description: PluginDescription,
  hosts: readonly HostPermission[],
): IntakeProblem[] {
  if (description.actions.some((action) => action.generic === true)) return [];
  return hosts.flatMap((host, index) =>
    host === '*' || (typeof host === 'object' && 'fromInput' in host)
      ? [
          {
            pointer: `/permissions/hosts/${String(index)}`,
            detail: 'is for generic actions only: mark the action that needs it `generic: true`',
          },
        ]
      : [],
  );
}

/** Rules of schemas and templates. One action after the other: untrusted schemas share one thread. */
async function findActionProblems(
  { actions, credentials }: PluginDescription,
  ports: IntakePorts,
): Promise<IntakeProblem[]> {
  const problems: IntakeProblem[] = [];
  for (const [index, action] of actions.entries()) {
    const at = `/actions/${String(index)}`;
    const credential = credentials?.find(({ id }) => id === action.credential);
    problems.push(
      ...under(`${at}/input`, await ports.findSchemaProblems(action.input)),
      ...under(`${at}/output`, await ports.findSchemaProblems(action.output)),
      ...under(at, ports.findTemplateProblems(action, credential)),
    );
  }
  return problems;
}

function findIdProblems(
  description: PluginDescription,
  authored: Pick<AuthoredManifest, 'id'>,
): IntakeProblem[] {
  if (description.id === authored.id) return [];
  const detail = `is "${description.id}" in the code and "${authored.id}" in package.json: make them the same`;
  return [{ pointer: '/id', detail }];
}

function findTierProblems(
  description: PluginDescription,
  { tier }: Pick<AuthoredManifest, 'tier'>,
): IntakeProblem[] {
  if (tier !== 'declarative') return [];
  return description.actions.flatMap((action, index) =>
    action.form === 'code'
      ? [
          {
            pointer: `/actions/${String(index)}/form`,
            detail: 'is code in a plugin of tier "declarative": use tier "isolate"',
          },
        ]
      : [],
  );
}
