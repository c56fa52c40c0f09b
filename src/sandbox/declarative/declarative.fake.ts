import type { ActionManifest, HttpTemplate, WaitTemplate } from '@stepwell/plugin-sdk';

import type { JsonObject, JsonValue } from '../../common/json.js';
import { DEFAULT_LIMITS } from '../sandbox.js';
import type { HostCalls, OutboundRequest, OutboundResponse } from '../sandbox.js';
import type { StepCall } from '../sandbox.js';

/** Builders for the tests of this folder. */
export function valueAction(value: JsonValue, more: Partial<ActionManifest> = {}): ActionManifest {
  return {
    id: 'a',
    form: 'value',
    input: true,
    output: true,
    effects: 'none',
    idempotency: 'none',
    value,
    ...more,
  };
}

export function httpAction(
  http: Partial<HttpTemplate>,
  more: Partial<ActionManifest> = {},
): ActionManifest {
  return {
    id: 'a',
    form: 'http',
    input: true,
    output: true,
    effects: 'write',
    idempotency: 'none',
    http: { method: 'POST', url: 'https://api.example/things', ...http },
    ...more,
  };
}

export function waitAction(wait: WaitTemplate, more: Partial<ActionManifest> = {}): ActionManifest {
  return {
    id: 'a',
    form: 'wait',
    input: true,
    output: true,
    effects: 'none',
    idempotency: 'natural',
    wait,
    ...more,
  };
}

let plugins = 0;

export function callOf(
  action: ActionManifest,
  input: JsonValue = {},
  more: Partial<StepCall> = {},
): StepCall {
  return {
    id: 'call',
    tenantId: 't',
    // A plugin of its own: what is compiled is kept by plugin and action.
    plugin: {
      id: `p${String(plugins++)}`,
      version: '1.0.0',
      digest: 'sha256-x',
      tier: 'declarative',
    },
    action,
    loadBundle: () => Promise.reject(new Error('a declarative action has no code to load')),
    input,
    credential: null,
    idempotencyKey: 'ex:step:0',
    limits: DEFAULT_LIMITS,
    ...more,
  };
}

/** A host that answers every request alike and remembers what it was asked. */
export class FakeHost implements HostCalls {
  readonly requests: OutboundRequest[] = [];

  constructor(
    private readonly respond: (
      request: OutboundRequest,
      signal: AbortSignal,
    ) => Promise<OutboundResponse>,
  ) {}

  async http(request: OutboundRequest, signal: AbortSignal): Promise<OutboundResponse> {
    this.requests.push(request);
    return await this.respond(request, signal);
  }

  log(): void {
    throw new Error('a declarative action does not log');
  }
}

export function answering(
  status: number,
  body: JsonValue | Uint8Array,
  headers: Record<string, string> = {},
): FakeHost {
  const isText = typeof body === 'string';
  const bytes =
    body instanceof Uint8Array
      ? body
      : new TextEncoder().encode(isText ? body : JSON.stringify(body));
  const type: Record<string, string> = {
    'Content-Type': isText ? 'text/plain' : 'application/json; charset=utf-8',
  };
  return new FakeHost((request) =>
    Promise.resolve({
      status,
      statusText: status === 404 ? 'Not Found' : '',
      url: request.url,
      redirected: false,
      headers: Object.entries({ ...type, ...headers }),
      body: bytes,
    }),
  );
}

export const SCHEMA_WITH_WHERE: JsonObject = {
  type: 'object',
  properties: {
    items: { type: 'array' },
    where: { type: 'string', 'x-stepwell-expression': true },
    template: { 'x-stepwell-expression': true },
  },
  additionalProperties: false,
};
