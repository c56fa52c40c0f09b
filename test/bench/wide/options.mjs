/** Groups of rows, each a file in groups/; those that fill a database have one of their own. */
export const TITLES = {
  queued: "One tenant's run beside long queues of others",
  plans: 'Many plans and schedules in one tenant',
  schedules: 'Many schedules due at once',
  idle: 'An idle host with many tenants',
  storage: 'What a run leaves behind',
};
const GROUPS = Object.keys(TITLES);

/** What the command line asks for. */
export function readWideOptions(argv) {
  const isShort = argv.includes('--short');
  const at = argv.indexOf('--only');
  const only = at === -1 ? GROUPS : (argv[at + 1] ?? '').split(',');
  const unknown = only.find((name) => !GROUPS.includes(name));
  if (unknown !== undefined) {
    throw new Error(`--only takes some of ${GROUPS.join()}, not "${unknown}"`);
  }
  const scale = Number(argv[argv.indexOf('--scale') + 1] ?? NaN);
  const isScaled = argv.includes('--scale');
  if (isScaled && !(scale > 0 && scale <= 1)) {
    throw new Error('--scale takes a number above 0 and up to 1, as in --scale 0.1');
  }
  const many = (whole, few) => (isShort ? few : Math.ceil(whole * (isScaled ? scale : 1)));
  return {
    isShort,
    only: GROUPS.filter((name) => only.includes(name)),
    queuedRuns: many(100_000, 1_000),
    queuedTenants: many(1_000, 20),
    singleRuns: isShort ? 3 : 20,
    plans: many(10_000, 200),
    /** Of the ways in which plans are read and changed, each. */
    calls: isShort ? 5 : 200,
    tenants: many(10_000, 20),
    idleSeconds: isShort ? 2 : 20,
    storedRuns: many(10_000, 200),
    isProfiled: argv.includes('--profile'),
    isJson: argv.includes('--json'),
  };
}
