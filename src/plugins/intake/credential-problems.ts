import type { CredentialManifest, HostPermission, PluginDescription } from '@stepwell/plugin-sdk';

import { coversName, isUrlField } from './credential-schemas.js';
import type { IntakeProblem } from './intake-error.js';

/**
 * What actions, credentials and host permissions of one plugin say of each other: an action's
 * credential is there, a permission from a credential names a field that one has, and no credential
 * has a host that the plugin may never reach.
 */
export function findCredentialProblems(
  { actions, credentials = [] }: PluginDescription,
  permissions: readonly HostPermission[],
): IntakeProblem[] {
  return [
    ...actions.flatMap(({ credential }, index) =>
      credential === undefined || credentials.some(({ id }) => id === credential)
        ? []
        : [
            {
              pointer: `/actions/${String(index)}/credential`,
              detail: `names "${credential}", which isn't among the credentials of the plugin`,
            },
          ],
    ),
    ...permissions.flatMap((permission, index) => {
      if (typeof permission === 'string' || !('fromCredential' in permission)) return [];
      const { fromCredential } = permission;
      if (credentials.some(({ fields }) => isUrlField(fields, fromCredential))) return [];
      const detail = `names "${fromCredential}", but no credential has a field of that name with format "url" that isn't secret`;
      return [{ pointer: `/permissions/hosts/${String(index)}`, detail }];
    }),
    ...credentials.flatMap((credential, index) =>
      findUnreachable(credential, permissions).map(({ at, missing }) => ({
        pointer: `/credentials/${String(index)}/hosts/${String(at)}`,
        detail: `could never be reached: add ${missing} to permissions.hosts in package.json`,
      })),
    ),
  ];
}

function findUnreachable(
  { hosts }: CredentialManifest,
  permissions: readonly HostPermission[],
): { at: number; missing: string }[] {
  if (permissions.includes('*')) return [];
  return hosts.flatMap((host, at) => {
    const isReachable =
      typeof host === 'string'
        ? permissions.some((permission) => coversName(permission, host))
        : permissions.some(
            (permission) =>
              typeof permission === 'object' &&
              'fromCredential' in permission &&
              permission.fromCredential === host.fromField,
          );
    if (isReachable) return [];
    const missing =
      typeof host === 'string' ? `"${host}"` : `{ "fromCredential": "${host.fromField}" }`;
    return [{ at, missing }];
  });
}
