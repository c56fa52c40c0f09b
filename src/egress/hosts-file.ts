import { readFile, stat } from 'node:fs/promises';
import { isIP } from 'node:net';

import type { ResolvedAddress } from './connector.js';
import { errorCode } from './error-code.js';

/** The hosts file of the system (hosts(5)), read again after it has changed. */
export class HostsFile {
  #names: ReadonlyMap<string, readonly ResolvedAddress[]> = new Map();
  #version = '';
  #checkedAt = -Infinity;
  #checking: Promise<void> | null = null;

  constructor(private readonly path: string = SYSTEM_PATH) {}

  /** Addresses of a name in the order of the file; none when the file doesn't know it. */
  async find(name: string): Promise<ResolvedAddress[]> {
    if (performance.now() - this.#checkedAt > RECHECK_MS) {
      this.#checking ??= this.#check().finally(() => {
        this.#checkedAt = performance.now();
        this.#checking = null;
      });
      await this.#checking;
    }
    return [...(this.#names.get(name) ?? [])];
  }

  async #check(): Promise<void> {
    try {
      const { mtimeMs, size, ino } = await stat(this.path);
      const version = [mtimeMs, size, ino].join(' ');
      if (version === this.#version) return;
      this.#names = parseHosts(await readFile(this.path, 'utf8'));
      this.#version = version;
    } catch (error) {
      if (errorCode(error) === '') throw error;
      // No file, or none that may be read: the system's resolver goes on without it, too.
      this.#names = new Map();
      this.#version = '';
    }
  }
}

/** Exported for its spec. */
export function parseHosts(text: string): Map<string, ResolvedAddress[]> {
  const names = new Map<string, ResolvedAddress[]>();
  for (const line of text.split('\n')) {
    const [address = '', ...aliases] = line.replace(/#.*/, '').trim().split(/\s+/);
    const family = isIP(address);
    // An address with a zone leads to an interface of this machine, which no rule can name.
    if (family === 0 || address.includes('%')) continue;
    for (const alias of aliases) {
      const name = alias.toLowerCase();
      const known = names.get(name);
      if (known === undefined) names.set(name, [{ address, family }]);
      else if (known.every((each) => each.address !== address)) known.push({ address, family });
    }
  }
  return names;
}

const RECHECK_MS = 5_000;
const SYSTEM_PATH =
  process.platform === 'win32' ? 'C:\\Windows\\System32\\drivers\\etc\\hosts' : '/etc/hosts';
