import { checkCredential } from './credential-checks.js';
import { kindRules } from './credential-kinds.js';
import { DefinitionChecks } from './definition-checks.js';
import type {
  CredentialField,
  CredentialHost,
  CredentialInject,
  CredentialKind,
  CredentialManifest,
  CredentialTest,
} from './manifest.js';

/**
 * Declares a type of credential: which fields its owner fills in, to which hosts it may go, and how
 * the host places it there. Fields that aren't secret are readable as `ctx.credential.x` and
 * `{{ credential.x }}`; secret ones exist only as `{{secret.x}}` inside `inject`, which egress fills
 * in on the way out, so that no code of a plugin ever holds one.
 * @throws TypeError that names each wrong field and says what to write instead
 */
export function defineCredential<
  const K extends CredentialKind,
  const F extends CredentialFields = NoFields,
>(definition: CredentialInput<K, F>): CredentialDefinition<ReadableValues<K, F>> {
  const checks = new DefinitionChecks('defineCredential', definition);
  checks.onlyFields(DEFINITION_FIELDS);
  checks.id('id');
  checks.optionalText('title');
  checks.optionalText('description');
  const manifest = toManifest(definition);
  checkCredential(checks, definition, manifest);
  checks.finish();
  return deepFreeze(manifest);
}

/** What `defineCredential` takes. */
export interface CredentialInput<K extends CredentialKind, F extends CredentialFields> {
  /** Lower-case letters, digits and underscores. Stored credentials name it. */
  readonly id: string;
  readonly title?: string;
  readonly description?: string;
  /** `api_key` adds the secret `api_key`, `bearer` the secret `token`, `basic` `username` and the secret `password`. */
  readonly kind: K;
  /** Fields beside those of the kind, by name; for those of the kind, another title or description. */
  readonly fields?: F;
  /** Where it may be sent: names, `*.suffix`, or `{ fromField }`, the origin of a readable field of format `url`. */
  readonly hosts?: readonly CredentialHost[];
  /** How it is sent; `bearer` and `basic` have a usual way. */
  readonly inject?: CredentialInject;
  /** One request that tells whether it works; it goes to one of `hosts`. */
  readonly test?: CredentialTest;
}

/** Fields of a credential by name, in the order in which a form shows them. */
export type CredentialFields = Readonly<Record<string, CredentialFieldInput>>;

/** One field that the owner of a credential fills in. */
export interface CredentialFieldInput {
  readonly title?: string;
  readonly description?: string;
  /** Default false: readable by the plugin, shown to the owner. */
  readonly secret?: boolean;
  /** Default true, or false when there is a default. */
  readonly required?: boolean;
  readonly default?: string;
  readonly format?: 'url';
}

/** A checked type of credential, ready for `defineAction` and `definePlugin`: its part of the manifest. */
export interface CredentialDefinition<
  Values extends CredentialValues = CredentialValues,
> extends Readonly<CredentialManifest> {
  /** Never there: carries the type of `ctx.credential`. */
  readonly '~values'?: Values;
}

/** The readable fields of a credential; those that may be left out can be undefined. */
export type CredentialValues = Readonly<Record<string, string | undefined>>;

/** The type of `ctx.credential` for an action that names a credential of type `C`, or none. */
export type CredentialOf<C, Optional> =
  C extends CredentialDefinition<infer V> ? ([Optional] extends [false] ? V : V | null) : null;

/** What of a credential's fields a plugin may read. */
export type ReadableValues<K extends CredentialKind, F extends CredentialFields> = Flatten<
  { readonly [N in Exclude<ReadableNames<K, F>, OptionalNames<F>>]: string } & {
    readonly [N in ReadableNames<K, F> & OptionalNames<F>]?: string;
  }
>;

/** No fields beside those of the kind. */
export type NoFields = { readonly [NONE]?: never };

declare const NONE: unique symbol;

type ReadableNames<K extends CredentialKind, F extends CredentialFields> =
  | Exclude<
      { [N in keyof F]: F[N] extends { readonly secret: true } ? never : N }[keyof F] & string,
      OwnSecret<K>
    >
  | (K extends 'basic' ? 'username' : never);

type OptionalNames<F extends CredentialFields> = {
  [N in keyof F]: F[N] extends { readonly required: false }
    ? F[N] extends { readonly default: string }
      ? never
      : N
    : never;
}[keyof F];

type OwnSecret<K extends CredentialKind> = K extends 'api_key'
  ? 'api_key'
  : K extends 'bearer'
    ? 'token'
    : K extends 'basic'
      ? 'password'
      : never;

type Flatten<T> = { [N in keyof T]: T[N] };

const DEFINITION_FIELDS = [
  'id',
  'title',
  'description',
  'kind',
  'fields',
  'hosts',
  'inject',
  'test',
];

/** Good for nothing but its checks while the definition has problems: types don't hold in JavaScript. */
function toManifest(
  definition: CredentialInput<CredentialKind, CredentialFields>,
): CredentialManifest {
  const { id, kind, hosts, test } = definition;
  const rules = kindRules(kind);
  const given = Object.entries<CredentialFieldInput | null>(definition.fields ?? {});
  const own = rules.fields.map((field) => ({
    ...field,
    ...wording(given.find(([name]) => name === field.name)?.[1] ?? {}),
  }));
  const ownNames = own.map(({ name }) => name);
  const more = given.filter(([name]) => !ownNames.includes(name));
  return {
    id,
    ...wording(definition),
    kind,
    fields: [...own, ...more.map(([name, field]) => toField(name, field ?? {}))],
    hosts: Array.isArray(hosts) ? plainCopy(hosts as CredentialHost[]) : [],
    inject: plainCopy(definition.inject ?? rules.inject ?? {}),
    ...(test === undefined ? {} : { test: plainCopy(test) }),
  };
}

function toField(name: string, field: CredentialFieldInput): CredentialField {
  return {
    name,
    ...wording(field),
    secret: field.secret ?? false,
    required: field.required ?? field.default === undefined,
    ...(field.default === undefined ? {} : { default: field.default }),
    ...(field.format === undefined ? {} : { format: field.format }),
  };
}

function wording(from: { title?: string; description?: string }): {
  title?: string;
  description?: string;
} {
  return {
    ...(from.title === undefined ? {} : { title: from.title }),
    ...(from.description === undefined ? {} : { description: from.description }),
  };
}

/** Not the author's own object, which may change later. */
function plainCopy<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

function deepFreeze<T extends object>(value: T): T {
  for (const member of Object.values(value)) {
    if (typeof member === 'object' && member !== null) deepFreeze(member as object);
  }
  return Object.freeze(value);
}
