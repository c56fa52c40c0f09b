import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { setTimeout as delay } from 'node:timers/promises';

import { pick } from './random.mjs';
import { startPostgresProxy } from './postgres-proxy.mjs';
import { childrenOf, end, tryKill } from './processes.mjs';

const ROOT = join(import.meta.dirname, '..', '..');
const START_MS = 60_000;
const METRICS_TOKEN = 'token-of-the-chaos-test';

/** One process. */
class Host {
  /** As the table of hosts has it; its proxy sees it in the first heartbeat. */
  id = null;
  url = null;
  /** Whether somebody here ended it. */
  isStruck = false;

  constructor(slot, child) {
    this.slot = slot;
    this.child = child;
  }

  get pid() {
    return this.child.pid;
  }

  get isAlive() {
    return this.child.exitCode === null && this.child.signalCode === null && !this.isStruck;
  }

  get isReady() {
    return this.isAlive && this.url !== null && this.id !== null;
  }

  kill() {
    this.isStruck = true;
    this.child.kill('SIGKILL');
  }

  signal(name) {
    this.child.kill(name);
  }

  killChildren() {
    for (const pid of childrenOf(this.pid)) tryKill(pid, 'SIGKILL');
  }
}

/** The places of hosts: each has a home, a clock and a proxy, which outlive its processes. */
export class Hosts {
  /** Ended when they were up, though nobody struck them. */
  endedByThemselves = 0;
  #slots = [];
  #failure = null;
  #isClosing = false;

  constructor({ directory, database, watch, key, random, hasSpool }) {
    Object.assign(this, { directory, database, watch, key, random, hasSpool });
  }

  /** @param egress host:port that plans may reach */
  async open(count, egress) {
    this.egress = egress;
    const { hostname, port } = new URL(this.database.url);
    for (let n = 0; n < count; n++) {
      const home = join(this.directory, `host-${n}`);
      mkdirSync(home, { recursive: true });
      const slot = {
        home,
        clockFile: join(home, 'clock'),
        host: null,
        proxy: null,
        isStarting: false,
        /** Settles when the process that was begun last is up. */
        starting: null,
      };
      setClock(slot, 0);
      slot.proxy = await startPostgresProxy({
        target: { host: hostname, port: Number(port) },
        watch: this.watch,
        host: () => slot.host,
      });
      this.#slots.push(slot);
    }
    const [first, ...others] = this.#slots;
    await this.#start(first); // migrates, and makes the admin's key
    await Promise.all(others.map((slot) => this.#start(slot)));
  }

  /** Those that are up, and those that are coming up. */
  living() {
    return this.#slots.map(({ host }) => host).filter((host) => host?.isAlive);
  }

  ready() {
    return this.living().filter((host) => host.isReady);
  }

  /** One that may be struck: another one is up as well, and takes over from it. */
  async anyone() {
    while (this.ready().length < 2) {
      if (this.#failure !== null) throw this.#failure;
      await delay(20);
    }
    return pick(this.random, this.ready());
  }

  /** Returns when a process is up in every place. */
  async whole() {
    await Promise.all(this.#slots.map(({ starting }) => starting));
    if (this.#failure !== null) throw this.#failure;
  }

  /** Puts a process where one was killed, in the background. */
  replace({ slot }) {
    // One that was struck while it came up is tried again anyway.
    if (slot.isStarting) return;
    slot.starting = this.#start(slot).catch((error) => {
      this.#failure ??= error;
    });
  }

  /** The key of the first start. */
  readAdminKey() {
    return readFileSync(join(this.#slots[0].home, 'admin.key'), 'utf8').trim();
  }

  /** Its clock is off by this much, also in processes to come. */
  jumpClock({ slot, child }, offsetMs) {
    setClock(slot, offsetMs);
    child.kill('SIGUSR2');
  }

  /** Files of the spools, of living hosts and dead ones: what waits, and what could not be stored. */
  countSpooled() {
    const names = this.#slots.flatMap(({ home }) => listSpool(join(home, 'spool')));
    const isSetAside = (name) => name.startsWith('set-aside');
    return {
      waiting: names.filter((name) => name.endsWith('.spool') && !isSetAside(name)).length,
      setAside: names.filter((name) => isSetAside(name) && name !== 'set-aside').length,
    };
  }

  /** Executions that went into the spools of those that are up. */
  async countKept() {
    const headers = { authorization: `Bearer ${METRICS_TOKEN}` };
    let kept = 0;
    for (const { url } of this.ready()) {
      const text = await (await fetch(`${url}/metrics`, { headers })).text();
      kept += Number(/^stepwell_spool_accepted_total (\d+)$/m.exec(text)?.[1] ?? 0);
    }
    return kept;
  }

  async close() {
    this.#isClosing = true;
    await Promise.all(
      this.#slots.map(async ({ host, proxy }) => {
        if (host !== null) {
          host.isStruck = true;
          await end(host.child);
        }
        proxy.close();
      }),
    );
  }

  /** Returns when it is up. What it was struck by, or the database being away, may take several tries. */
  async #start(slot) {
    const deadline = performance.now() + START_MS;
    slot.isStarting = true;
    try {
      while (!this.#isClosing) {
        const host = this.#spawn(slot);
        while (host.isAlive && !host.isReady && performance.now() < deadline) await delay(20);
        if (host.isReady) {
          host.child.once('exit', () => {
            if (!host.isStruck) this.endedByThemselves++;
          });
          return;
        }
        if (performance.now() > deadline) throw new Error('a host did not come up');
      }
    } finally {
      slot.isStarting = false;
    }
  }

  #spawn(slot) {
    const url = new URL(this.database.url);
    url.port = String(slot.proxy.port);
    const child = spawn(process.execPath, [join(ROOT, 'dist', 'main.js')], {
      cwd: ROOT,
      // Why one can't start while its database is away is no news.
      stdio: ['ignore', 'pipe', process.env.CHAOS_LOG_LEVEL === undefined ? 'ignore' : 'inherit'],
      env: {
        PATH: process.env.PATH,
        // Of a path, spaces would end the option.
        NODE_OPTIONS: `--import=${pathToFileURL(join(import.meta.dirname, 'clock-preload.mjs')).href}`,
        CHAOS_CLOCK_FILE: slot.clockFile,
        STEPWELL_HOME: slot.home,
        PORT: '0',
        DATABASE_URL: url.href,
        STEPWELL_ENCRYPTION_KEY: this.key,
        STEPWELL_EGRESS_ALLOW: this.egress,
        STEPWELL_MAX_SANDBOX_CHILDREN: '2',
        ...(this.hasSpool ? { STEPWELL_SPOOL: 'on', STEPWELL_METRICS_TOKEN: METRICS_TOKEN } : {}),
        LOG_LEVEL: process.env.CHAOS_LOG_LEVEL ?? 'fatal',
      },
    });
    const host = new Host(slot, child);
    slot.host = host;
    let out = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      out += text;
      host.url ??= /ready at (\S+);/.exec(out)?.[1] ?? null;
    });
    return host;
  }
}

function setClock({ clockFile }, offsetMs) {
  writeFileSync(clockFile, String(offsetMs));
}

/** Empty: nothing was ever spooled there. */
function listSpool(folder) {
  try {
    return readdirSync(folder, { recursive: true, encoding: 'utf8' });
  } catch (error) {
    if (error.code === 'ENOENT') return [];
    throw error;
  }
}
