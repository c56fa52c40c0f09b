/** What the command line asks for. */
export function readOptions(argv) {
  const text = (name, fallback) => {
    const at = argv.indexOf(`--${name}`);
    return at === -1 ? fallback : argv[at + 1];
  };
  const number = (name, fallback, least = 0) => {
    const value = Number(text(name, fallback));
    if (!Number.isInteger(value) || value < least) {
      throw new Error(`--${name} takes a whole number from ${least}, as in --${name} ${fallback}`);
    }
    return value;
  };
  return {
    strikes: number('strikes', 200),
    /** Somebody has to take over. */
    hosts: number('hosts', 3, 2),
    /** Kept in flight by clients. */
    runs: number('runs', 30),
    seed: number('seed', Math.floor(Math.random() * 2 ** 31)),
    /** Longest pause between two strikes. */
    pauseMs: number('pause-ms', 1_200),
    /** How long runs may stand under a host that is gone. */
    takeoverLimitMs: number('takeover-limit-ms', 6_000),
    /** Kinds of strikes, or groups of them; empty: all. */
    only: text('only', '')
      .split(',')
      .filter((kind) => kind !== ''),
    /** Hosts keep what they accept while the database is away; webhooks are called besides. */
    hasSpool: argv.includes('--spool'),
    isJson: argv.includes('--json'),
    /** Tells each strike when it is done. */
    isVerbose: argv.includes('--verbose'),
  };
}
