import type { CredentialField, CredentialInject, CredentialKind } from './manifest.js';

/** What a kind of credential brings along before its author adds anything. */
export interface CredentialKindRules {
  /** Come first in the manifest; an author changes their title and description alone. */
  readonly fields: readonly CredentialField[];
  /** Used when the author gives none; null when there is no usual way, so that one must be given. */
  readonly inject: CredentialInject | null;
}

/** @returns the rules of `custom` for a kind that doesn't exist, so that checks can go on */
export function kindRules(kind: CredentialKind): CredentialKindRules {
  return Object.hasOwn(RULES, kind) ? RULES[kind] : RULES.custom;
}

const RULES: Readonly<Record<CredentialKind, CredentialKindRules>> = {
  none: { fields: [], inject: {} },
  api_key: {
    fields: [{ name: 'api_key', title: 'API key', secret: true, required: true }],
    inject: null,
  },
  bearer: {
    fields: [{ name: 'token', title: 'Token', secret: true, required: true }],
    inject: { headers: { authorization: 'Bearer {{secret.token}}' } },
  },
  basic: {
    fields: [
      { name: 'username', title: 'User name', secret: false, required: true },
      { name: 'password', title: 'Password', secret: true, required: true },
    ],
    inject: { basic: { username: '{{credential.username}}', password: '{{secret.password}}' } },
  },
  custom: { fields: [], inject: null },
};
