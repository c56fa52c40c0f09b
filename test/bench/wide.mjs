/**
 * `npm run bench:wide`: many tenants and many things, on hosts of its own with durable commits. Fills databases by
 * SQL, and measures what the host does beside that. docs/scale.md tells what the figures mean.
 *
 *   node test/bench/wide.mjs [--json] [--short] [--only queued,plans] [--scale 0.1] [--profile]
 */
import { judge } from './aims.mjs';
import { Bench } from './bench-world.mjs';
import { describeMachine } from './processes/machine.mjs';
import { readWideOptions } from './wide/options.mjs';
import { linesOf, report } from './wide/report.mjs';

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
  const rows = [];
  const host = await bench.startHost(name, { isProfiled: options.isProfiled });
  try {
    const { measure } = await import(`./wide/groups/${name}.mjs`);
    for await (const row of measure(bench, host)) {
      bench.tell(linesOf(judge(row)));
      rows.push(row);
    }
    return { name, rows, error: null };
  } catch (error) {
    console.error(error);
    return { name, rows, error: error.message };
  } finally {
    await bench.stopHost(host);
  }
}

function optionsOrExit() {
  try {
    return readWideOptions(process.argv);
  } catch (error) {
    console.error(error.message);
    process.exit(2);
  }
}
