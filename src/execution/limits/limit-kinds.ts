/** What a limit counts runs of: those of a plan, those that use a provider or a credential, or all. */
export const LIMIT_KINDS = ['plan', 'provider', 'credential', 'tenant'] as const;

export type LimitKind = (typeof LIMIT_KINDS)[number];

/** The subject of a limit of kind `tenant`. */
export const WHOLE_TENANT = 'all';
