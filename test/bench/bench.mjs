/**
 * `npm run bench`: how fast, how wide and how heavy Stepwell is, on hosts of its own with durable commits.
 * docs/performance.md tells what each row means and what it was aimed at.
 *
 *   node test/bench/bench.mjs [--json | --markdown] [--short] [--only w1,w2] [--connections 1,10,50]
 *                             [--seconds 5] [--repetitions 3] [--profile]
 */
import { Bench } from './bench-world.mjs';
import { readOptions } from './options.mjs';
import { describeMachine } from './processes/machine.mjs';
import { report } from './report.mjs';

if (process.platform !== 'linux') {
  console.error('the bench reads the CPU time and memory of processes from /proc: it needs Linux');
  process.exit(2);
}
const options = optionsOrExit();
const machine = describeMachine();
const bench = new Bench(options);
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => void bench.close().finally(() => process.exit(1)));
}
try {
  await bench.open();
  const groups = [];
  for (const name of options.only) {
    if (bench.isClosing) break;
    bench.tell(name);
    groups.push(await measureGroup(name));
  }
  report({ machine: { ...machine, ...bench.versions }, options, groups });
  if (groups.some(({ error }) => error !== null)) process.exitCode = 1;
} finally {
  await bench.close();
}

/** What the others measured isn't lost when one fails. */
async function measureGroup(name) {
  try {
    const { measure } = await import(`./groups/${name}.mjs`);
    return { name, rows: await measure(bench), error: null };
  } catch (error) {
    console.error(error);
    return { name, rows: [], error: error.message };
  }
}

function optionsOrExit() {
  try {
    return readOptions(process.argv);
  } catch (error) {
    console.error(error.message);
    process.exit(2);
  }
}
