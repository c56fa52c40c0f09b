import { readCredentialFields } from './credential-fields.js';
import { formatTable } from './format-table.js';
import { getRunningHost, type CredentialScope, type CredentialView } from './host-client.js';

export interface SetCredentialOptions {
  name: string;
  scope: CredentialScope;
  type?: string;
  field?: string[];
  json?: boolean;
  expires?: string;
}

/** Stores a credential, or replaces it as a whole. Secrets are asked for, or come through a pipe. */
export async function setCredentialCommand(
  provider: string,
  options: SetCredentialOptions,
): Promise<void> {
  const { name, scope } = options;
  const client = await getRunningHost();
  const types = await client.listCredentialTypes(provider);
  const type = options.type === undefined ? types[0] : types.find(({ id }) => id === options.type);
  if (!type) {
    throw new Error(
      types.length === 0
        ? `the provider "${provider}" takes no credentials`
        : `--type must be one of ${types.map(({ id }) => id).join(', ')}`,
    );
  }
  const credentials = await readCredentialFields(type, {
    input: process.stdin,
    output: process.stderr,
    given: options.field ?? [],
    isJson: options.json === true,
  });
  const stored = await client.storeCredential(provider, {
    ...{ type: type.id, name, scope, credentials },
    ...(options.expires === undefined ? {} : { expires_at: options.expires }),
  });
  process.stdout.write(describeStored(stored));
}

/** Lets a host try a credential at its service. @returns the exit code: 0 when it works */
export async function testCredentialCommand(
  provider: string,
  choice: { name: string; scope?: CredentialScope },
): Promise<number> {
  const client = await getRunningHost();
  const { id } = await client.getCredential(provider, choice);
  const { success, message, latency_ms: latencyMs } = await client.testCredential(id);
  process.stdout.write(
    success ? `it works (${String(latencyMs)} ms)\n` : `it does not work: ${message}\n`,
  );
  return success ? 0 : 1;
}

export async function listCredentialsCommand(): Promise<void> {
  const client = await getRunningHost();
  process.stdout.write(formatCredentials(await client.listCredentials()));
}

export async function deleteCredentialCommand(
  provider: string,
  choice: { name: string; scope: CredentialScope },
): Promise<void> {
  const client = await getRunningHost();
  await client.deleteCredential(provider, choice);
  process.stdout.write(`deleted "${choice.name}" of ${provider}\n`);
}

/** What was stored, and where its secrets go. */
export function describeStored({ name, provider, scope, ...stored }: CredentialView): string {
  const whom = scope === 'tenant' ? 'all members' : 'you alone';
  const fields = Object.entries(stored.credentials).map(([field, value]) => `${field} ${value}`);
  const where = stored.hosts.length === 0 ? '' : `; sent to ${stored.hosts.join(', ')} only`;
  return `stored "${name}" for ${provider}, to be used by ${whom}: ${fields.join(', ')}${where}\n`;
}

const HEAD = ['PROVIDER', 'NAME', 'SCOPE', 'FIELDS', 'EXPIRES'];

/** A table in columns, with a line break at its end. */
export function formatCredentials(credentials: CredentialView[]): string {
  if (credentials.length === 0) {
    return 'no credentials are stored; store one with "stepwell credential set <provider>"\n';
  }
  const sorted = credentials.toSorted(
    (a, b) => compare(a.provider, b.provider) || compare(a.name, b.name),
  );
  const rows = sorted.map((one) => [
    one.provider,
    one.name,
    one.scope,
    Object.entries(one.credentials)
      .map(([field, value]) => `${field}=${value}`)
      .join(' '),
    one.expires_at === null ? '' : one.is_expired ? `expired ${one.expires_at}` : one.expires_at,
  ]);
  return formatTable(HEAD, rows);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
