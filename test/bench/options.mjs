/**
 * Groups of rows, each a file in groups/, in the order in which they are measured: memory on a host that did
 * nothing else before, and the start of one where much was done.
 */
export const TITLES = {
  memory: 'Memory of the host and its sandbox children',
  echo: 'Bare echo of the same HTTP stack',
  w1: 'W1: webhook, transform, answer',
  w2: 'W2: webhook, transform, code, HTTP request, answer',
  w3: 'W3: the same as W2, acknowledged at once',
  steps: 'One long execution',
  burst: 'Many requests at the same moment',
  start: 'From acceptance to the first step',
  crud: 'Plans and credentials',
  sandbox: 'One step, from a bare isolate outwards',
  ready: 'Ready on an existing home',
  tenants: 'Many tenants at once',
  active: 'Many active executions',
  database: 'The store of runs without a host',
};
const GROUPS = Object.keys(TITLES);

/** What the command line asks for. */
export function readOptions(argv) {
  const isShort = argv.includes('--short');
  const only = list(argv, '--only', GROUPS.join());
  const unknown = only.find((name) => !GROUPS.includes(name));
  if (unknown !== undefined) {
    throw new Error(`--only takes some of ${GROUPS.join()}, not "${unknown}"`);
  }
  const connections = list(argv, '--connections', '1,10,50').map(Number);
  if (!connections.every((count) => Number.isInteger(count) && count > 0)) {
    throw new Error('--connections takes whole numbers, as in --connections 1,10,50');
  }
  return {
    isShort,
    only: GROUPS.filter((name) => only.includes(name)),
    connections,
    /** Of one repetition of one row. */
    seconds: number(argv, '--seconds', isShort ? 0.3 : 5),
    repetitions: number(argv, '--repetitions', isShort ? 1 : 3),
    warmUpSeconds: isShort ? 0.3 : 2,
    tenants: isShort ? 6 : 200,
    stepsOfLongPlan: isShort ? 10 : 100,
    concurrent: isShort ? 100 : 1_000,
    active: isShort ? 40 : 500,
    runsForMemory: isShort ? 200 : 10_000,
    idleSeconds: isShort ? 0.5 : 10,
    starts: isShort ? 1 : 5,
    crudCalls: isShort ? 25 : 200,
    sandboxCalls: isShort ? 25 : 1_000,
    /** Writes a CPU profile of the host when it ends. */
    isProfiled: argv.includes('--profile'),
    format: ['json', 'markdown'].find((name) => argv.includes(`--${name}`)) ?? 'table',
  };
}

function text(argv, name, fallback) {
  const at = argv.findIndex((arg) => arg === name || arg.startsWith(`${name}=`));
  if (at === -1) return fallback;
  return argv[at].includes('=') ? argv[at].slice(name.length + 1) : (argv[at + 1] ?? '');
}

function list(argv, name, fallback) {
  return text(argv, name, fallback)
    .split(',')
    .filter((part) => part !== '');
}

function number(argv, name, fallback) {
  const value = Number(text(argv, name, fallback));
  if (value > 0) return value;
  throw new Error(`${name} takes a number above 0, as in ${name} ${fallback}`);
}
