import { formatTable } from './format-table.js';
import { getRunningHost, type EncryptionKeyView } from './host-client.js';

const HEAD = ['TENANT', 'VERSION', 'ROOT KEY', 'MADE', 'CREDENTIALS', ''];

/** Shows every version of every tenant's data key. */
export async function keysCommand(out: NodeJS.WritableStream): Promise<void> {
  const client = await getRunningHost();
  out.write(formatKeys(await client.listEncryptionKeys()));
}

/** Gives one tenant, or all of them, a new data key; their credentials follow in the background. */
export async function rotateKeysCommand(
  out: NodeJS.WritableStream,
  options: { tenant?: string },
): Promise<void> {
  const client = await getRunningHost();
  const rotated = await client.rotateEncryptionKeys(options.tenant);
  for (const { tenant_name: tenant, version } of rotated) {
    out.write(`${tenant} has key ${String(version)} now\n`);
  }
  out.write(
    rotated.length === 0
      ? 'no credentials are stored there, so there is no key to rotate\n'
      : 'its credentials are encrypted anew in the background; "stepwell keys" shows how far that is\n',
  );
}

/** A table in columns, with a line break at its end. */
export function formatKeys(keys: EncryptionKeyView[]): string {
  if (keys.length === 0) return 'no tenant has stored credentials yet, so there are no keys\n';
  const rows = keys.map((key) => [
    key.tenant_name,
    String(key.version),
    key.root_key_id,
    key.created_at.slice(0, 19).replace('T', ' '),
    String(key.credentials),
    key.is_current ? 'current' : '',
  ]);
  return formatTable(HEAD, rows);
}
