import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { loadClientConfig, type ClientConfig } from '../config/client-config.js';
import { ADMIN_KEY_FILE, isAlive, readHostFile } from '../config/host-file.js';
import { messageOf } from '../common/errors.js';
import type { JsonValue } from '../common/json.js';

/** The parts of an execution that the command line shows; see docs/api.md. */
export interface ExecutionView {
  id: string;
  status: string;
  output: JsonValue;
  error: { code: string; message: string } | null;
  duration_ms: number | null;
  steps: StepView[];
}

export interface StepView {
  id: string;
  provider: string;
  action: string;
  status: string;
  attempts: number;
  result: {
    output: JsonValue;
    error: { code: string; message: string } | null;
    metadata: { latency_ms?: number };
  } | null;
}

/** What a step waits for. */
export interface WaitView {
  step_id: string;
  kind: 'timer' | 'callback' | 'approval' | 'plan';
  message: string | null;
  /** When it is over by itself, ISO 8601; null: it waits on. */
  wake_at: string | null;
  /** Where it is answered; null: nobody outside does. */
  url: string | null;
}

/** One version of a tenant's data key. */
export interface EncryptionKeyView {
  tenant_id: string;
  tenant_name: string;
  version: number;
  root_key_id: string;
  created_at: string;
  is_current: boolean;
  credentials: number;
}

/** What a provider's credential is made of. */
export interface CredentialTypeView {
  id: string;
  fields: CredentialFieldView[];
}

export interface CredentialFieldView {
  name: string;
  title: string;
  description?: string;
  secret: boolean;
  required: boolean;
  default?: string;
}

/** A stored credential: readable fields, and masks of secret ones. */
export interface CredentialView {
  id: string;
  provider: string;
  name: string;
  scope: CredentialScope;
  credentials: Record<string, string>;
  hosts: string[];
  expires_at: string | null;
  is_expired: boolean;
}

export type CredentialScope = 'user' | 'tenant';

export interface NewCredential {
  type: string;
  name: string;
  scope: CredentialScope;
  credentials: Record<string, JsonValue>;
  expires_at?: string;
}

/** Which of a provider's credentials. */
export interface CredentialChoice {
  name: string;
  scope?: CredentialScope;
}

/** What a credential's own test came to. */
export interface CredentialTestView {
  success: boolean;
  message: string;
  latency_ms: number;
}

/** Speaks to a host over HTTP. Errors say what the host said. */
export class HostClient {
  constructor(
    private readonly url: string,
    private readonly apiKey: string,
  ) {}

  async startPlan(plan: JsonValue, input: JsonValue): Promise<ExecutionView> {
    return (await this.send('POST', '/api/execute-plan', {
      plan,
      input,
      wait: 0,
    })) as ExecutionView;
  }

  async getExecution(id: string): Promise<ExecutionView> {
    return (await this.send('GET', `/api/executions/${id}`)) as ExecutionView;
  }

  /** What the steps of an execution wait for, as many as one page shows. */
  async listWaits(executionId: string): Promise<WaitView[]> {
    const page = (await this.send('GET', `/api/waits?execution_id=${executionId}`)) as {
      waits: WaitView[];
    };
    return page.waits;
  }

  async cancelExecution(id: string): Promise<void> {
    await this.send('POST', `/api/executions/${id}/cancel`);
  }

  async listEncryptionKeys(): Promise<EncryptionKeyView[]> {
    const { keys } = (await this.send('GET', '/api/admin/encryption-keys')) as {
      keys: EncryptionKeyView[];
    };
    return keys;
  }

  async rotateEncryptionKeys(
    tenant: string | undefined,
  ): Promise<{ tenant_name: string; version: number }[]> {
    const body = tenant === undefined ? {} : { tenant };
    const { rotated } = (await this.send('POST', '/api/admin/encryption-keys/rotate', body)) as {
      rotated: { tenant_name: string; version: number }[];
    };
    return rotated;
  }

  async listCredentialTypes(provider: string): Promise<CredentialTypeView[]> {
    const path = `/api/providers/${encodeURIComponent(provider)}`;
    const { credentials } = (await this.send('GET', path)) as { credentials: CredentialTypeView[] };
    return credentials;
  }

  async storeCredential(provider: string, credential: NewCredential): Promise<CredentialView> {
    return (await this.send('POST', credentialPath(provider), credential)) as CredentialView;
  }

  async getCredential(provider: string, choice: CredentialChoice): Promise<CredentialView> {
    return (await this.send('GET', credentialPath(provider, choice))) as CredentialView;
  }

  async deleteCredential(provider: string, choice: CredentialChoice): Promise<void> {
    await this.send('DELETE', credentialPath(provider, choice));
  }

  async testCredential(id: string): Promise<CredentialTestView> {
    return (await this.send('POST', `/api/provider-credentials/${id}/test`)) as CredentialTestView;
  }

  /** All that the key's user may use, newest first. */
  async listCredentials(): Promise<CredentialView[]> {
    const found: CredentialView[] = [];
    let cursor = '';
    for (;;) {
      const page = (await this.send('GET', `/api/provider-credentials?limit=100${cursor}`)) as {
        credentials: CredentialView[];
        next_cursor: string | null;
      };
      found.push(...page.credentials);
      if (page.next_cursor === null) return found;
      cursor = `&cursor=${encodeURIComponent(page.next_cursor)}`;
    }
  }

  private async send(method: string, path: string, body?: unknown): Promise<unknown> {
    let response: Response;
    try {
      response = await fetch(new URL(path, this.url), {
        method,
        headers: {
          'x-api-key': this.apiKey,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        body: body === undefined ? null : JSON.stringify(body),
      });
    } catch (error) {
      throw new Error(
        `the host at ${this.url} does not answer: ${messageOf((error as Error).cause ?? error)}`,
        {
          cause: error,
        },
      );
    }
    const answer: unknown = await response.json();
    if (!response.ok) throw new Error(describeProblem(answer, response.status));
    return answer;
  }
}

/** The host that runs on this home; null when none does, or what its file names isn't one. */
export async function findRunningHost(config: ClientConfig): Promise<HostClient | null> {
  const file = readHostFile(config.home);
  if (!file || !isAlive(file.pid)) return null;
  // After a crash and a restart of the machine the process may be any other.
  const answer = await fetch(new URL('/api/health/live', file.url)).catch(() => null);
  return answer?.ok === true ? new HostClient(file.url, readApiKey(config)) : null;
}

/**
 * The host of this home, for commands that need one that runs.
 * @throws Error that says how to start one
 */
export async function getRunningHost(): Promise<HostClient> {
  const config = loadClientConfig();
  const client = await findRunningHost(config);
  if (client) return client;
  throw new Error(
    `no host runs on ${config.home}; start one with npm start, or set STEPWELL_HOME to the home of one that runs`,
  );
}

/** @throws Error that says where a key is looked for */
function readApiKey({ home, apiKey }: ClientConfig): string {
  if (apiKey !== null) return apiKey;
  const path = join(home, ADMIN_KEY_FILE);
  if (existsSync(path)) return readFileSync(path, 'utf8').trim();
  throw new Error(`no API key: set STEPWELL_API_KEY (${path} does not exist)`);
}

function credentialPath(provider: string, choice?: CredentialChoice): string {
  const query = choice === undefined ? '' : `?${String(new URLSearchParams({ ...choice }))}`;
  return `/api/provider-credentials/${encodeURIComponent(provider)}${query}`;
}

function describeProblem(answer: unknown, status: number): string {
  const problem = answer as {
    detail?: string;
    errors?: { pointer: string; detail: string }[];
  };
  const lines = (problem.errors ?? []).map(
    ({ pointer, detail }) => `\n  ${pointer || '/'}: ${detail}`,
  );
  return `${problem.detail ?? `the host answered ${String(status)}`}${lines.join('')}`;
}
