import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { readVersions } from './database/versions.mjs';
import { LoadGenerator } from './load/load-generator.mjs';
import { CpuMeter } from './processes/cpu-meter.mjs';
import { startHost } from './processes/host-process.mjs';
import { Keeper } from './processes/keeper.mjs';
import { Target } from './target/target.mjs';

const SHARED = 'shared';

/** What the groups measure with: the processes of the bench, and hosts, of which most share one. */
export class Bench {
  /** Of PostgreSQL, once a host is up. */
  versions = {};
  load = new LoadGenerator();
  target = new Target();
  directory = mkdtempSync(join(tmpdir(), 'stepwell-bench-'));
  keeper = new Keeper(this.directory);
  #hosts = new Set();
  #shared = null;
  #closing = null;
  #begin = performance.now();

  constructor(options) {
    this.options = options;
  }

  /** Whether nothing may be started any more. */
  get isClosing() {
    return this.#closing !== null;
  }

  async open() {
    await this.target.open();
  }

  /** The host that groups share unless they need one of their own. */
  async host() {
    this.#shared ??= this.startHost(SHARED, { isProfiled: this.options.isProfiled });
    return await this.#shared;
  }

  /** Ends that host. @returns the name of its home */
  async stopSharedHost() {
    if (this.#shared !== null) await this.stopHost(await this.#shared);
    this.#shared = null;
    return SHARED;
  }

  /** Whoever asks for a name again gets a new host on the same home. */
  async startHost(name, { env = {}, isProfiled = false } = {}) {
    if (this.isClosing) throw new Error('the bench was interrupted');
    const profiles = isProfiled ? mkdtempSync(join(tmpdir(), 'stepwell-profiles-')) : null;
    if (profiles !== null) this.tell(`CPU profiles of the host: ${profiles}`);
    const host = await startHost({
      home: join(this.directory, name),
      env: { STEPWELL_EGRESS_ALLOW: this.target.address, ...env },
      profiles,
      keeper: this.keeper,
    });
    this.#hosts.add(host);
    this.versions = await readVersions(host.databaseUrl);
    return host;
  }

  async stopHost(host) {
    this.#hosts.delete(host);
    await host.stop();
  }

  meterOf(host) {
    return new CpuMeter(host, { load: this.load.pid, target: this.target.pid });
  }

  /** A folder below that of the bench, gone with it. */
  folder(name) {
    const path = join(this.directory, name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  /** To whoever watches. */
  tell(what) {
    const seconds = (performance.now() - this.#begin) / 1_000;
    console.error(`${seconds.toFixed(0)} s: ${what}`);
  }

  /** Ends all that was started, also when somebody interrupts. */
  close() {
    this.#closing ??= (async () => {
      await Promise.all([...this.#hosts].map((host) => host.stop()));
      await Promise.all([this.load.close(), this.target.close()]);
      await this.keeper.close();
    })();
    return this.#closing;
  }
}
