/** Each of them has to be zero. */
const FAULTS = [
  'lost',
  'split_keys',
  'runs_untold',
  'spool_left',
  'spool_set_aside',
  'effects_repeated',
  'effects_missing',
  'effects_untold',
  'checkpoints_repeated',
  'fires_lost',
  'fires_double',
  'takeovers_too_slow',
  'hosts_ended_by_themselves',
];

/** Prints the figures, and says what must not be. */
export function report(figures, { isJson, seed, tookMs }) {
  const all = { seed, took_s: Math.round(tookMs / 1_000), ...figures };
  if (isJson) console.log(JSON.stringify(all));
  else {
    const lines = Object.entries(all).map(([name, value]) => [name.replaceAll('_', ' '), value]);
    const width = Math.max(...lines.map(([name]) => name.length));
    for (const [name, value] of lines) console.log(`${name.padEnd(width)}  ${toText(value)}`);
  }
  const faults = findFaults(figures);
  if (faults.length === 0) return;
  console.error(`chaos found faults: ${faults.join(', ')}`);
  process.exitCode = 1;
}

/** @returns names of what is not as it must be */
function findFaults(figures) {
  const faults = FAULTS.filter((name) => figures[name] > 0);
  if (figures.accepted === 0) faults.push('nothing was accepted');
  // A plugin that kills its child hurts its own run alone; who kills children here hurts others as well.
  const hurt = Object.keys(figures.other_errors).filter((code) => code.startsWith('plugin.'));
  if (hurt.length > 0 && figures.strikes.child === undefined) {
    faults.push(`others ended as ${hurt.join()}`);
  }
  return faults;
}

function toText(value) {
  if (typeof value !== 'object') return String(value);
  const parts = Object.entries(value).map(([name, times]) => `${name} ${times}`);
  return parts.length === 0 ? '-' : parts.join(', ');
}
