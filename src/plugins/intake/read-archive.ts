import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';

import { Parser } from 'tar';
import type { ReadEntry } from 'tar';

import { IntakeError } from './intake-error.js';

/**
 * Reads files out of an npm package archive (gzip, tar) in memory; nothing touches the disk.
 * @param archive.bytes the `.tgz`
 * @param archive.wanted paths below `package/` and their largest size in bytes
 * @returns text of each wanted file that is there
 * @throws IntakeError `plugin.package_refused` for links, devices, paths that lead or could lead
 *   elsewhere, native code, doubled files, and anything past the limits of size and count
 */
export async function readArchive(archive: {
  bytes: Uint8Array;
  wanted: Readonly<Record<string, number>>;
}): Promise<Map<string, string>> {
  const tarball = await decompress(archive.bytes);
  const found = new Map<string, Buffer[]>();
  const problems: string[] = [];
  const seen = new Set<string>();
  const parser = new Parser({
    strict: true,
    onReadEntry(entry) {
      const problem = judge(entry, seen, archive.wanted);
      if (problem !== null) problems.push(problem);
      const name = entry.path.slice(ROOT.length);
      if (problem === null && Object.hasOwn(archive.wanted, name)) {
        const chunks: Buffer[] = [];
        found.set(name, chunks);
        entry.on('data', (chunk: Buffer) => chunks.push(chunk));
      }
      entry.resume();
    },
  });
  parser.on('ignoredEntry', (entry: ReadEntry) => {
    problems.push(`entry "${shown(entry.path)}" is a ${entry.type}; only files may be there`);
  });
  await finished(parser, tarball);
  const [first] = problems;
  if (first !== undefined) throw refused(first);
  return new Map([...found].map(([name, chunks]) => [name, decode(name, Buffer.concat(chunks))]));
}

const ROOT = 'package/';
const MAX_COMPRESSED_BYTES = 8 * 1024 * 1024;
const MAX_BYTES = 32 * 1024 * 1024;
const MAX_ENTRIES = 2_000;
const MAX_PATH_LENGTH = 512;
const FILE_TYPES = new Set(['File', 'OldFile', 'ContiguousFile']);

async function decompress(bytes: Uint8Array): Promise<Buffer> {
  if (bytes.byteLength > MAX_COMPRESSED_BYTES) throw refused('it is larger than 8 MiB');
  try {
    return await promisify(gunzip)(bytes, { maxOutputLength: MAX_BYTES });
  } catch (error) {
    const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : null;
    const isTooLarge = code === 'ERR_BUFFER_TOO_LARGE';
    throw refused(isTooLarge ? 'it unpacks to more than 32 MiB' : "it isn't gzip");
  }
}

function finished(parser: Parser, tarball: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    parser.on('error', (error: Error) => {
      reject(refused(`it isn't a sound tar archive: ${error.message}`));
    });
    parser.on('end', resolve);
    parser.end(tarball);
  });
}

/** Why an entry can't be, or null. Entries that nobody reads are judged, too: other tools extract them. */
function judge(
  entry: ReadEntry,
  seen: Set<string>,
  wanted: Readonly<Record<string, number>>,
): string | null {
  const { path, size } = entry;
  const name = shown(path);
  if (entry.type !== 'Directory' && !FILE_TYPES.has(entry.type)) {
    return `entry "${name}" is a ${entry.type}; only files may be there`;
  }
  if (path.length > MAX_PATH_LENGTH) return `the path "${name}" is too long`;
  if (!isPlainPath(path)) return `the path "${name}" leads outside "${ROOT}" or isn't plain`;
  // A second file of one name, or of one that differs by case, shows other readers other contents.
  const key = path.replace(/\/$/, '').normalize('NFKC').toLowerCase();
  if (seen.has(key)) return `"${name}" is there twice`;
  seen.add(key);
  if (seen.size > MAX_ENTRIES) return `it holds more than ${String(MAX_ENTRIES)} entries`;
  if (/\.(node|wasm)$/i.test(path)) return `"${name}" is native or WebAssembly code`;
  const maxBytes = wanted[path.slice(ROOT.length)];
  if (maxBytes !== undefined && size > maxBytes) {
    return `"${name}" is larger than ${String(maxBytes)} bytes`;
  }
  return null;
}

function isPlainPath(path: string): boolean {
  if (path === 'package' || path === ROOT) return true;
  if (!path.startsWith(ROOT) || /[^\x20-\x7e\u00a0-\uffff]|[\\:]/.test(path)) return false;
  return path
    .replace(/\/$/, '')
    .split('/')
    .every((part) => part !== '' && part !== '.' && part !== '..');
}

function decode(name: string, bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw refused(`"${name}" isn't UTF-8`);
  }
}

function shown(path: string): string {
  return JSON.stringify(path.slice(0, 100)).slice(1, -1);
}

function refused(reason: string): IntakeError {
  return new IntakeError('plugin.package_refused', `the archive is refused: ${reason}`, [
    { pointer: '', detail: reason },
  ]);
}
