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
  /** Sent as JSON unless `form` is given. */
  body?: JsonValue;
  /** Sent as application/x-www-form-urlencoded. */
  form?: JsonObject;
  /** An expression over `response` (`status`, `headers`, `body`) and `input` that says whether it succeeded. Default: status 200-299. */
  okWhen?: string;
  /** Message of the error when it did not; a template over `response`. */
  errorMessage?: string;
  /** The output; a value template over `response` and `input`. Default: the parsed body. */
  output?: JsonValue;
}

export interface ActionManifest {
  id: string;
  title?: string;
  description?: string;
  /** `code` runs in an isolate; `http` and `value` are executed by the host as data. */
  form: 'code' | 'http' | 'value';
  input: JsonSchema;
  output: JsonSchema;
  effects: Effects;
  idempotency: Idempotency;
  /** The action reaches hosts that its caller names (an HTTP request tool). */
  generic?: boolean;
  /** Id of the credential type that the action uses. */
  credential?: string;
  /** Only with form `http`. */
  http?: HttpTemplate;
  /** Only with form `value`: JSON whose strings may hold `{{ expressions }}` over `input`. */
  value?: JsonValue;
}

/** What the code of a plugin says of itself: `describe()` of what `definePlugin` returns. */
export interface PluginDescription {
  id: string;
  title?: string;
  description?: string;
  actions: ActionManifest[];
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
  /** `sha256-<hex>` of each action's input, output, effects and idempotency, by action id. */
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
