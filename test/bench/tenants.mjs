import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..', '..');
const AT_ONCE = 10;

/** A plugin of an outsider: one action of code, one of data, both of which call a server. */
export const OUTSIDER = 'weather';

/** Packs it as its author would. @returns the archive */
export function packOutsider(bench) {
  const workshop = bench.folder('workshop');
  const archive = join(workshop, `${OUTSIDER}-1.0.0.tgz`);
  if (existsSync(archive)) return archive;
  const source = join(ROOT, 'test', 'fixtures', 'plugins', OUTSIDER);
  cpSync(source, join(workshop, OUTSIDER), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(workshop, 'node_modules'));
  const cli = join(ROOT, 'plugin-sdk', 'bin', 'stepwell-plugin.js');
  execFileSync(process.execPath, [cli, 'pack', OUTSIDER, '--out', '.'], { cwd: workshop });
  return archive;
}

/** Makes tenants that have the outsider's plugin. @returns an Api for each, as its admin */
export async function openTenants(api, { name, count }) {
  return await eachOf(Array.from({ length: count }), async (_, at) => {
    const tenant = await api.send('POST', '/api/admin/tenants', { name: `${name}-${at}` });
    const admin = api.as(tenant.api_key);
    await admin.send('PUT', `/api/plugins/${OUTSIDER}`, { enabled: true, consent: true });
    return admin;
  });
}

/** In order, a few at a time. */
export async function eachOf(items, work) {
  const results = [];
  for (let at = 0; at < items.length; at += AT_ONCE) {
    const part = items.slice(at, at + AT_ONCE).map((item, n) => work(item, at + n));
    results.push(...(await Promise.all(part)));
  }
  return results;
}
