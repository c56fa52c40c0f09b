import { setTimeout as delay } from 'node:timers/promises';

import { Gate } from './gate.mjs';
import { pickWeighted, shuffle } from './random.mjs';
import { Trap } from './trap.mjs';

/** What hangs has to hang longer than a lease of five seconds. */
const STOP_MS = 7_000;
/** Long enough for hosts to know, and for much to be asked of them meanwhile. */
const DOWN_MS = 3_000;
const TRAP_MS = 8_000;
const HOUR_MS = 3_600_000;
/** Farther, and a schedule of every second would miss times for good: it catches up a hundred. */
const DATABASE_JUMP_MS = 40_000;
/** When two hosts may both find the lease of a killed one run out, and both ask for its runs. */
const RACE = { fromMs: 4_200, leaseMs: 5_050, toMs: 5_600 };

/** Where a host dies on the way of a run, in the order of that way. */
const POINTS = {
  'accept-before': 'before a new run is durable',
  'accept-after': 'after that, before the client hears',
  'fire-before': 'before the fire of a schedule is durable',
  'fire-after': 'after that',
  'intent-before': 'before an intent is durable',
  'intent-after': 'after that, before the request leaves',
  'request-arrived': 'the provider has the request, and has not answered',
  'answer-unread': 'the provider has answered, the host has not read it',
  'answer-written': 'just after the provider has answered',
  'checkpoint-before': 'before a result is durable',
  'checkpoint-after': 'after that, before the host hears',
  'finish-before': 'before the end of a run is durable',
  'finish-after': 'after that, before the host hears',
};

/** What it is told by -> how often it comes up, and what it does. Each returns after what it struck is up again. */
const KINDS = {
  kill: { weight: 8, strike: kill },
  stop: { weight: 2, strike: stop },
  child: { weight: 2, strike: killSandboxChildren },
  reapers: { weight: 2, strike: raceReapers },
  ...Object.fromEntries(
    Object.keys(POINTS).map((point) => [
      point,
      { weight: 3, group: 'points', strike: (world) => killAt(world, point) },
    ]),
  ),
  'postgres-immediate': { weight: 2, group: 'postgres', strike: restartWith('SIGQUIT') },
  'postgres-fast': { weight: 2, group: 'postgres', strike: restartWith('SIGINT') },
  'postgres-kill': { weight: 2, group: 'postgres', strike: restartWith('SIGKILL') },
  'postgres-down': {
    weight: 1,
    group: 'postgres',
    strike: ({ database }) => database.keepDown(DOWN_MS),
  },
  'postgres-hang': {
    weight: 1,
    group: 'postgres',
    strike: ({ database }) => database.hang(STOP_MS),
  },
  'host-clock': { weight: 3, group: 'clock', strike: jumpHostClock },
  'database-clock': {
    weight: 2,
    group: 'clock',
    isPossible: ({ clock }) => clock.canJump(),
    strike: jumpDatabaseClock,
  },
  poison: { weight: 3, strike: ({ load }) => load.run('poison') },
  'same-key': { weight: 3, strike: ({ load }) => load.runSameKey() },
};

/** The strikes of one run: every kind once in some order, and then by their weights. */
export class Strikes {
  /** kind -> how often it happened */
  done = {};
  /** Points that no host came to in time. */
  unhit = 0;
  #first;
  #weights;

  /** @param only kinds or groups; empty: all */
  static async of(world, only) {
    const names = only.length === 0 ? Object.keys(KINDS) : only.flatMap(namesOf);
    const possible = [];
    for (const name of names) {
      if ((await KINDS[name].isPossible?.(world)) !== false) possible.push(name);
    }
    if (possible.length === 0) throw new Error(`${only.join()}: not possible with this product`);
    return new Strikes(world, possible);
  }

  constructor(world, names) {
    this.world = world;
    this.#first = shuffle(world.strikeRandom, names);
    this.#weights = Object.fromEntries(names.map((name) => [name, KINDS[name].weight]));
  }

  /** @returns what it did */
  async next() {
    const name = this.#first.pop() ?? pickWeighted(this.world.strikeRandom, this.#weights);
    const isHit = (await KINDS[name].strike(this.world)) !== false;
    if (isHit) this.done[name] = (this.done[name] ?? 0) + 1;
    else this.unhit++;
    return isHit ? name : `${name} (not reached)`;
  }
}

function namesOf(only) {
  const names = Object.keys(KINDS).filter((name) => name === only || KINDS[name].group === only);
  if (names.length > 0) return names;
  const groups = new Set(Object.values(KINDS).flatMap(({ group }) => group ?? []));
  throw new Error(`--only ${only}: there are ${[...groups, ...Object.keys(KINDS)].join(', ')}`);
}

async function kill({ hosts, takeovers }) {
  const host = await hosts.anyone();
  const since = performance.now();
  host.kill();
  takeovers.watchKilled(host, since);
  hosts.replace(host);
}

async function killAt({ clock, hosts, takeovers, watch }, point) {
  if (point.startsWith('fire-')) await clock.goOn();
  await hosts.anyone(); // whoever it hits, another one is up
  watch.trap = new Trap(point);
  const sprung = await watch.trap.wait(TRAP_MS);
  watch.trap = null;
  if (sprung === null) return false;
  takeovers.watchKilled(sprung.host, sprung.since);
  hosts.replace(sprung.host);
}

/** It hangs past its lease, others take its runs, and it goes on as if nothing had been. */
async function stop({ hosts, takeovers }) {
  const host = await hosts.anyone();
  const since = performance.now();
  host.signal('SIGSTOP');
  try {
    await takeovers.watchStopped(host, since);
    await delay(STOP_MS - (performance.now() - since));
  } finally {
    host.signal('SIGCONT');
  }
}

async function killSandboxChildren({ hosts }) {
  (await hosts.anyone()).killChildren();
}

/** A host dies, and all others ask for its runs at the same moment. */
async function raceReapers({ hosts, takeovers, watch }) {
  await hosts.whole();
  const host = await hosts.anyone();
  const since = performance.now();
  host.kill();
  takeovers.watchKilled(host, since);
  const others = hosts.ready().length;
  const gate = new Gate();
  const ageMs = () => performance.now() - since;
  try {
    await delay(RACE.fromMs);
    watch.gate = gate;
    const isReady = () => gate.held >= others && ageMs() > RACE.leaseMs;
    while (!isReady() && ageMs() < RACE.toMs) await delay(10);
    return gate.held >= Math.min(2, others);
  } finally {
    watch.gate = null;
    gate.open();
    hosts.replace(host);
  }
}

/** As `pg_ctl restart` does with its modes immediate and fast; with SIGKILL nobody tells the server's children. */
function restartWith(signal) {
  return ({ database }) => database.strike(signal);
}

async function jumpHostClock({ hosts, strikeRandom }) {
  hosts.jumpClock(await hosts.anyone(), Math.round((strikeRandom() * 2 - 1) * HOUR_MS));
}

async function jumpDatabaseClock({ clock, strikeRandom }) {
  await clock.jump(Math.round((strikeRandom() * 2 - 1) * DATABASE_JUMP_MS));
}
