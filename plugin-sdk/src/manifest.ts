/**
 * The manifest of a plugin: plain data that a host can read, check and compare without running
 * any of the plugin's code. `stepwell-plugin pack` writes it; the host derives it again inside an
 * isolate and refuses a plugin whose two manifests differ.
 */

export type JsonPrimitive = string | number | boolean | null;
export type JsonValue = JsonPrimitive | JsonValue[] | { [key: string]: JsonValue };
export type JsonObject = { [key: string]: JsonValue };

/** A JSON Schema, draft 2020-12. No remote `$ref`; at most 256 KB and 2,000 nodes. */
export type JsonSchema = JsonObject | boolean;

/** Where the code of an action runs. `declarative` has no code at all. */
export type Tier = 'declarative' | 'isolate' | 'worker';

/**
 * What an action does to the world outside. It decides whether a step may be sent again after its
 * outcome was lost: `none` and `read` may, `write` may not unless it is idempotent.
 * `byMethod` points into the input at an HTTP method: GET, HEAD and OPTIONS read, the rest write.
 */
export type Effects = 'none' | 'read' | 'write' | { byMethod: string };

/**
 * `key`: the provider accepts `ctx.idempotencyKey` and does the work once per key.
 * `natural`: doing it twice is the same as doing it once (a PUT of a whole value).
 */
export type Idempotency = 'none' | 'key' | 'natural';

/**
 * A host that the plugin may reach: an exact name (`api.example.com`), a suffix
 * (`*.example.com`), `*` for any public host (generic actions only; needs consent), or the host of
 * a URL in a credential field or, for generic actions only, in an input field.
 */
export type HostPermission = string | { fromCredential: string } | { fromInput: string };

/** Limits that a plugin asks for. Plans may lower them, an operator may raise them. */
export interface LimitRequest {
  /** CPU time of one call, milliseconds. */
  cpuMs?: number;
  /** Wall time of one call, milliseconds; at most 300,000. */
  wallMs?: number;
  /** V8 heap of one call, MiB. */
  heapMb?: number;
}

/**
 * An HTTP exchange as data. Strings may hold `{{ expressions }}` over `input`, `credential` and
 * `idempotencyKey`; `$if`, `$each`, `$spread` and `$evaluate` build structures (docs/templates.md).
 */
export interface HttpTemplate {
  method: string;
  url: string;
  query?: JsonObject;
  headers?: Record<string, string>;
  /** Sent as `bodyAs` says. */
  body?: JsonValue;
  /**
   * `json` (default): as JSON, but a text whose content type in `headers` isn't JSON as it is.
   * `textOrJson`, for bodies that come out of the input: a text as it is (text/plain in UTF-8 unless
   * `headers` say otherwise), null not at all, anything else as JSON.
   */
  bodyAs?: 'json' | 'textOrJson';
  /** Sent as application/x-www-form-urlencoded. */
  form?: JsonObject;
  /** Checked in order before anything is sent: the first that fails is the step's `input.invalid`. */
  require?: HttpRequirement[];
  /**
   * Time for the answer with its redirects, milliseconds, or a template that gives it; null is none.
   * The limits of the step hold in any case. Once it is over, the step fails as `provider.unavailable`.
   */
  timeoutMs?: number | string;
  /**
   * An expression over `response` and `input` that says whether it succeeded. Default: status 200-299.
   * `response` has `status`, `headers` (by lower-case name), `body` (parsed when it is JSON, else text,
   * else base64; null when there is none) and `bodyEncoding` ("base64" when it is that, else missing).
   */
  okWhen?: string;
  /** Message of the error when it did not; a template over `response`. */
  errorMessage?: string;
  /**
   * Code of the error when it did not; an expression over `response` and `input` that gives
   * `provider.auth_failed`, `provider.rate_limited`, `provider.unavailable` or `provider.rejected`.
   * Anything else, or nothing, leaves it to the status.
   */
  errorCode?: string;
  /** The output; a value template over `response` and `input`. Default: the parsed body. */
  output?: JsonValue;
}

/** What a JSON Schema says badly or not at all, such as what one parameter means for another. */
export interface HttpRequirement {
  /** An expression over `input`, without braces, that has to hold. */
  that: string;
  /** What is wrong and what to do about it; a template over `input`. */
  message: string;
  /** JSON Pointer to the parameter that is at fault. */
  pointer?: string;
}

/**
 * Something to wait for, as data: `kind` is literal, all else are value templates over `input`. The
 * step rests without taking up anything and goes on when it has happened.
 * - `timer`: so many `seconds`, or `until` a moment; exactly one of the two.
 * - `callback`: a call of the wait's URL, `${waits.<step id>.url}` in plans.
 * - `approval`: the same by a person, who says yes or no to `message`.
 * - `plan`: runs another plan and waits for its end.
 */
export type WaitTemplate =
  | { kind: 'timer'; seconds: JsonValue; until?: never }
  | { kind: 'timer'; until: JsonValue; seconds?: never }
  | { kind: 'callback'; timeoutSeconds?: JsonValue }
  | { kind: 'approval'; message: JsonValue; timeoutSeconds?: JsonValue }
  | { kind: 'plan'; planId: JsonValue; input?: JsonValue };

/**
 * What a wait template gives for one input: what the engine is asked to wait for. Seconds are at most
 * 31,536,000 (a year); `until` is ISO 8601 with an offset or `Z`; optional members are there or not,
 * never null.
 */
export type WaitRequest =
  | { kind: 'timer'; seconds: number }
  | { kind: 'timer'; until: string }
  | { kind: 'callback'; timeoutSeconds?: number }
  | { kind: 'approval'; message: string; timeoutSeconds?: number }
  | { kind: 'plan'; planId: string; input?: JsonValue };

/**
 * `api_key`: one secret `api_key`; `bearer`: one secret `token`, sent as a bearer token (RFC 6750);
 * `basic`: `username` and secret `password` (RFC 7617); `custom`: fields of the plugin's own;
 * `none`: no secret at all, only fields such as a base URL.
 */
export type CredentialKind = 'none' | 'api_key' | 'basic' | 'bearer' | 'custom';

/** One field that the owner of a credential fills in. Every value is a text of at most 16 KiB. */
export interface CredentialField {
  name: string;
  title?: string;
  description?: string;
  /** Kept encrypted, never shown again, and never in the reach of a plugin. */
  secret: boolean;
  /** Must be given; a field with a default never is. */
  required: boolean;
  /** Not for secret fields. */
  default?: string;
  /** `url`: an absolute http or https URL. */
  format?: 'url';
}

/** Where a credential may be sent: an exact name, a suffix, or the origin of a URL in a field that isn't secret. */
export type CredentialHost = string | { fromField: string };

/**
 * What egress adds to each request to one of the credential's hosts. Strings may hold
 * `{{secret.field}}` and `{{credential.field}}`, and nothing else of templates.
 */
export interface CredentialInject {
  headers?: Record<string, string>;
  query?: Record<string, string>;
  /** RFC 7617. */
  basic?: { username: string; password: string };
  /** Signs the body: Standard Webhooks 1.0, headers webhook-id, webhook-timestamp and webhook-signature (v1). */
  sign?: { scheme: 'standard-webhooks'; secret: string };
}

/** One request that tells whether a credential works. `url` may hold `{{credential.field}}`. */
export interface CredentialTest {
  method: 'GET' | 'HEAD' | 'POST';
  url: string;
  headers?: Record<string, string>;
  /** Sent as JSON. */
  body?: JsonValue;
  /** Default: a status of 200-299. `pointer` (RFC 6901) reads the JSON body. */
  expect?: { status?: number; pointer?: string; equals?: JsonValue };
}

export interface CredentialManifest {
  id: string;
  title?: string;
  description?: string;
  kind: CredentialKind;
  /** In the order in which a form shows them. */
  fields: CredentialField[];
  /** Fixed when a credential is made; its secrets leave for these alone. */
  hosts: CredentialHost[];
  inject: CredentialInject;
  test?: CredentialTest;
}

export interface ActionManifest {
  id: string;
  title?: string;
  description?: string;
  /** `code` runs in an isolate; `http`, `value` and `wait` are executed by the host as data. */
  form: 'code' | 'http' | 'value' | 'wait';
  input: JsonSchema;
  output: JsonSchema;
  effects: Effects;
  idempotency: Idempotency;
  /** The action reaches hosts that its caller names (an HTTP request tool). */
  generic?: boolean;
  /** Id of the credential type that the action uses. */
  credential?: string;
  /** The action also works without one. */
  credentialOptional?: boolean;
  /** Only with form `http`. */
  http?: HttpTemplate;
  /** Only with form `value`: JSON whose strings may hold `{{ expressions }}` over `input`. */
  value?: JsonValue;
  /** Only with form `wait`: what the step waits for. Effects are `none`, idempotency is `natural`. */
  wait?: WaitTemplate;
}

/** What the code of a plugin says of itself: `describe()` of what `definePlugin` returns. */
export interface PluginDescription {
  id: string;
  title?: string;
  description?: string;
  actions: ActionManifest[];
  /** Absent when there are none. */
  credentials?: CredentialManifest[];
}

export interface PluginManifest extends PluginDescription {
  manifestVersion: 1;
  /** npm package name and version. */
  package: string;
  version: string;
  license?: string;
  /** Range of SDK majors that the plugin was written for, such as `>=1 <2`. */
  engine: string;
  tier: Tier;
  permissions: { hosts: HostPermission[] };
  limits: LimitRequest;
  /** `sha256-<hex>` of each action's input, output, effects, idempotency and wait, by action id. */
  contracts: Record<string, string>;
  bundle: { digest: string; bytes: number };
}

/** The `stepwell` part of a plugin's package.json: all that an author writes by hand. */
export interface AuthoredManifest {
  manifestVersion: 1;
  id: string;
  entry: string;
  engine: string;
  tier?: Tier;
  permissions?: { hosts?: HostPermission[] };
  limits?: LimitRequest;
}
