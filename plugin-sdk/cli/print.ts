import type { CredentialHost, HostPermission } from '@stepwell/plugin-sdk';

import { IntakeError } from '../../src/plugins/intake/intake-error.js';
import { manifestDigest } from '../../src/plugins/intake/manifest.js';
import type { PackedPlugin } from '../../src/plugins/intake/pack-plugin.js';

/** What a host and its admins will see of a plugin. */
export function printPlugin({ manifest }: PackedPlugin, outcome: string): void {
  const hosts = manifest.permissions.hosts.map(shownHost).join(', ');
  const rows = [
    ['plugin', `${manifest.id} ${manifest.version} (${manifest.package}), tier ${manifest.tier}`],
    ['hosts', hosts === '' ? 'none' : hosts],
    ...manifest.actions.map((action) => [
      'action',
      `${action.id}: ${action.form}, effects ${shownEffects(action.effects)}, idempotency ${action.idempotency}`,
    ]),
    ...(manifest.credentials ?? []).map(({ id, kind, hosts: to }) => [
      'credential',
      `${id}: ${kind}, sent to ${to.length === 0 ? 'nobody' : to.map(shownTarget).join(', ')}`,
    ]),
    ['bundle', `${String(manifest.bundle.bytes)} bytes, ${manifest.bundle.digest}`],
    ['digest', manifestDigest(manifest)],
  ];
  for (const [name = '', value = ''] of rows) write(process.stdout, `${name.padEnd(11)}${value}`);
  write(process.stdout, outcome);
}

/** Why a plugin was refused: the code to look up, and every problem on a line of its own. */
export function printFailure(error: unknown): void {
  if (!(error instanceof IntakeError)) {
    write(process.stderr, error instanceof Error ? (error.stack ?? error.message) : String(error));
    return;
  }
  write(process.stderr, `refused (${error.code}): ${error.message}`);
  if (error.problems.length < 2) return;
  for (const { pointer, detail } of error.problems) {
    write(process.stderr, `  ${pointer === '' ? '' : `${pointer} `}${detail}`);
  }
}

function shownHost(host: HostPermission): string {
  if (typeof host === 'string') return host === '*' ? '* (any public host)' : host;
  return 'fromInput' in host
    ? `the host of input "${host.fromInput}"`
    : `the host of credential field "${host.fromCredential}"`;
}

function shownTarget(host: CredentialHost): string {
  return typeof host === 'string' ? host : `the origin in its field "${host.fromField}"`;
}

function shownEffects(effects: PackedPlugin['manifest']['actions'][number]['effects']): string {
  return typeof effects === 'string' ? effects : `by the method in ${effects.byMethod}`;
}

function write(stream: NodeJS.WriteStream, line: string): void {
  stream.write(`${line}\n`);
}
