import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import pg from 'pg';

import { startEmbeddedPostgres } from '../../dist/database/embedded-postgres.js';
import { childrenOf, tryKill } from './processes.mjs';

const PATIENCE_MS = 60_000;
const PAUSE_MS = 50;

/** The database that all hosts share, asked past their proxies, as superuser. */
export class ChaosDatabase {
  /** Times at which it was away or its clock jumped: { from, to }, of performance.now(). */
  disturbances = [];
  /** Processes of it that stand still. */
  #hanging = [];
  #pool;
  #server;
  #directory;
  #starting = null;

  constructor(directory) {
    this.#directory = directory;
  }

  async start() {
    this.#starting = startEmbeddedPostgres({ directory: this.#directory, database: 'stepwell' });
    this.#server = await this.#starting;
    this.#pool = new pg.Pool({ connectionString: this.url, max: 4 });
    // An idle connection that PostgreSQL's end takes along; whoever asks next gets another.
    this.#pool.on('error', () => undefined);
  }

  get url() {
    return this.#server.url;
  }

  /** @returns rows; asks again while the database is away */
  async ask(sql, parameters = []) {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      try {
        const { rows } = await this.#pool.query(sql, parameters);
        return rows;
      } catch (error) {
        if (!isAway(error) || performance.now() > deadline) throw error;
        await delay(PAUSE_MS);
      }
    }
  }

  /** Ends the server; whoever watches over it brings it back. Returns when it answers again. */
  async strike(signal) {
    const from = performance.now();
    const before = this.#postmaster();
    process.kill(before, signal);
    while (this.#postmaster() === before) await delay(PAUSE_MS);
    await this.ask('select 1');
    this.disturbances.push({ from, to: performance.now() });
  }

  /** Ends it again as often as it comes back, for that long. */
  async keepDown(ms) {
    const from = performance.now();
    const until = from + ms;
    while (performance.now() < until) {
      const postmaster = this.#postmaster();
      if (postmaster !== null) tryKill(postmaster, 'SIGQUIT');
      await delay(PAUSE_MS);
    }
    await this.ask('select 1');
    this.disturbances.push({ from, to: performance.now() });
  }

  /** All of it stands still for that long, and goes on where it was. */
  async hang(ms) {
    const from = performance.now();
    const postmaster = this.#postmaster();
    this.#hanging = [postmaster, ...childrenOf(postmaster)];
    for (const pid of this.#hanging) tryKill(pid, 'SIGSTOP');
    try {
      await delay(ms);
    } finally {
      this.#goOn();
    }
    await this.ask('select 1');
    this.disturbances.push({ from, to: performance.now() });
  }

  async stop() {
    this.#goOn();
    // Also when somebody interrupts just now; whether it failed is told by `start`.
    const server = await this.#starting?.catch(() => null);
    await this.#pool?.end();
    await server?.stop();
  }

  #goOn() {
    for (const pid of this.#hanging.splice(0)) tryKill(pid, 'SIGCONT');
  }

  #postmaster() {
    const path = join(this.#directory, 'data', 'postmaster.pid');
    if (!existsSync(path)) return null;
    // 0: it is there, and not yet written. To a signal that means all of this process group.
    return Number(readFileSync(path, 'utf8').split('\n')[0]) || null;
  }
}

/** Refused, cut off, shutting down or starting up. */
function isAway(error) {
  return (
    /^(57P0[123]|08|ECONN|EPIPE)/.test(error.code ?? '') || /terminated|ended/i.test(error.message)
  );
}
