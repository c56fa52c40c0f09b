/** For specs: packs a plugin of data as a host does, and runs its actions against made-up answers. */
import { fileURLToPath } from 'node:url';

import type { ActionManifest, CredentialManifest } from '@stepwell/plugin-sdk';

import type { JsonValue } from '../src/common/json.js';
import { stepFailed } from '../src/common/provider-result.js';
import type { ProviderResult } from '../src/common/provider-result.js';
import { fakePorts } from '../src/plugins/intake/intake-ports.fake.js';
import { packPlugin } from '../src/plugins/intake/pack-plugin.js';
import type { PackedPlugin } from '../src/plugins/intake/pack-plugin.js';
import { findTemplateProblems } from '../src/sandbox/declarative/compile-action.js';
import { DeclarativeSandbox } from '../src/sandbox/declarative/declarative-sandbox.js';
import { DEFAULT_LIMITS } from '../src/sandbox/sandbox.js';
import type { OutboundRequest } from '../src/sandbox/sandbox.js';
import { findSchemaProblems } from '../src/sandbox/schema/schema-rules.js';
import { SchemaValidator } from '../src/sandbox/schema/schema-validator.js';

export interface ServiceAnswer {
  status?: number;
  headers?: Record<string, string>;
  /** As JSON, unless it is a text. */
  body: JsonValue;
}

export interface ProviderRun {
  result: ProviderResult;
  /** What was sent; null when nothing was. Without the credential, which egress places later. */
  request: { method: string; url: string; headers: Record<string, string>; body: JsonValue } | null;
}

export class ProviderHarness {
  private readonly sandbox = new DeclarativeSandbox({ now: () => 0 });
  private readonly schemas = new SchemaValidator();

  private constructor(
    private readonly plugin: PackedPlugin,
    private readonly fields: Readonly<Record<string, string>>,
  ) {}

  /** @param fields of the credential that aren't secret */
  static async pack(id: string, fields: Record<string, string>): Promise<ProviderHarness> {
    const dir = fileURLToPath(new URL(id, import.meta.url));
    const ports = {
      ...fakePorts(),
      findTemplateProblems,
      findSchemaProblems: (schema: ActionManifest['input']) =>
        Promise.resolve(findSchemaProblems(schema)),
    };
    return new ProviderHarness(await packPlugin(dir, ports), fields);
  }

  get credential(): CredentialManifest | undefined {
    return this.plugin.manifest.credentials?.[0];
  }

  action(id: string): ActionManifest {
    const found = this.plugin.manifest.actions.find((action) => action.id === id);
    if (found === undefined) throw new Error(`the plugin has no action "${id}"`);
    return found;
  }

  /** Input and output are held against the action's schemas, as the engine does. */
  async run(id: string, input: JsonValue, answer: ServiceAnswer): Promise<ProviderRun> {
    const action = this.action(id);
    const checked = await this.validate(`${id}/input`, action.input, input);
    if (!checked.ok) {
      const detail = checked.errors.map(({ pointer, detail }) => `${pointer} ${detail}`).join('; ');
      return { result: stepFailed('input.invalid', detail), request: null };
    }
    const requests: OutboundRequest[] = [];
    const { id: pluginId, version, bundle, tier } = this.plugin.manifest;
    const result = await this.sandbox.run(
      {
        id: 'call',
        tenantId: 'tenant',
        plugin: { id: pluginId, version, digest: bundle.digest, tier },
        action,
        loadBundle: () => Promise.reject(new Error('data has no code to load')),
        input: checked.value,
        credential: this.fields,
        idempotencyKey: 'execution:step:0',
        limits: DEFAULT_LIMITS,
      },
      {
        http: (request) => {
          requests.push(request);
          return Promise.resolve(respond(request, answer));
        },
        log: () => undefined,
      },
      new AbortController().signal,
    );
    if (result.success) {
      const output = await this.validate(`${id}/output`, action.output, result.output);
      if (!output.ok) throw new Error(`the output breaks its schema: ${JSON.stringify(output)}`);
    }
    return { result, request: requests[0] === undefined ? null : show(requests[0]) };
  }

  async close(): Promise<void> {
    await this.schemas.close();
  }

  private async validate(key: string, schema: ActionManifest['input'], value: JsonValue) {
    return await this.schemas.validate({ key, schema, value, trusted: true, applyDefaults: true });
  }
}

function respond(request: OutboundRequest, { status = 200, headers = {}, body }: ServiceAnswer) {
  const isText = typeof body === 'string';
  const type = { 'content-type': isText ? 'text/html' : 'application/json; charset=utf-8' };
  return {
    status,
    statusText: '',
    url: request.url,
    redirected: false,
    headers: Object.entries({ ...type, ...headers }),
    body: new TextEncoder().encode(isText ? body : JSON.stringify(body)),
  };
}

function show(request: OutboundRequest): ProviderRun['request'] {
  const { method, url, headers, body } = request;
  return {
    method,
    url,
    headers: Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), value])),
    body: body === null ? null : (JSON.parse(new TextDecoder().decode(body)) as JsonValue),
  };
}
