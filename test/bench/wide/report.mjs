import { judge } from '../aims.mjs';
import { TITLES } from './options.mjs';

/** Prints what was measured, as a table for each group or as JSON. */
export function report({ machine, options, groups }) {
  const judged = groups.map((group) => ({ ...group, rows: group.rows.map(judge) }));
  if (options.isJson) {
    console.log(JSON.stringify({ machine, options, groups: judged }, null, 2));
    return;
  }
  console.table(
    Object.fromEntries(Object.entries(machine).map(([name, value]) => [name, `${value}`])),
  );
  for (const { name, rows, error } of judged) {
    console.log(`\n${TITLES[name]}`);
    if (error !== null) console.log(`failed: ${error}`);
    for (const row of rows) console.log(linesOf(row));
  }
}

/** Groups have figures of many kinds: a line for each reads better than a wide table. */
export function linesOf({ name, figures, aims = [] }) {
  const lines = Object.entries(figures).map(([figure, value]) => {
    const aim = aims.find((one) => one.figure === figure);
    const verdict = aim ? `  (${aim.text}: ${aim.isMet ? 'met' : 'MISSED'})` : '';
    return `    ${figure.padEnd(32)} ${textOf(value)}${verdict}`;
  });
  return [`  ${name}`, ...lines].join('\n');
}

function textOf(value) {
  if (value === null) return '-';
  const text = (number) => String(Number(number.toPrecision(4)));
  const { median, min, max } = value;
  return min === max ? text(median) : `${text(median)} (${text(min)}-${text(max)})`;
}
