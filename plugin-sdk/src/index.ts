export type { ActionClock, ActionContext, ActionLog, LogFields } from './context.js';
export type { ActionCrypto, HashName, HmacMessage } from './crypto.js';
export {
  defineAction,
  type ActionDefinition,
  type ActionFacts,
  type CodeAction,
  type HttpAction,
  type ValueAction,
  type WaitAction,
} from './define-action.js';
export {
  defineCredential,
  type CredentialDefinition,
  type CredentialFieldInput,
  type CredentialFields,
  type CredentialInput,
  type CredentialOf,
  type CredentialValues,
  type NoFields,
  type ReadableValues,
} from './define-credential.js';
export { definePlugin, type PluginDefinition } from './define-plugin.js';
export {
  AuthError,
  InvalidInput,
  Permanent,
  PluginError,
  type PluginErrorOptions,
  RateLimited,
  Retryable,
  TooLarge,
} from './errors.js';
export type { HttpClient, HttpOptions, QueryValue } from './http-client.js';
export type { HttpResponse } from './http-response.js';
export type { FromJsonSchema, JsonLiteral, PlainSchema } from './json-schema-types.js';
export type * from './manifest.js';
export type * from './runtime.js';
export type {
  ActionSchema,
  InputOf,
  ReturnOf,
  StandardIssue,
  StandardResult,
  StandardSchema,
} from './schema.js';
