import { judge } from './aims.mjs';
import { toMarkdown } from './markdown.mjs';
import { TITLES } from './options.mjs';

/** Prints what was measured, in the form that was asked for. */
export function report({ machine, options, groups }) {
  const judged = groups.map((group) => ({ ...group, rows: group.rows.map(judge) }));
  if (options.format === 'json') {
    console.log(JSON.stringify({ machine, options, groups: judged }, null, 2));
  } else if (options.format === 'markdown') {
    console.log(toMarkdown({ machine, groups: judged }));
  } else {
    printMachine(machine);
    for (const { name, rows, error } of judged) {
      console.log(`\n${TITLES[name]}`);
      if (error === null) printTable(rows);
      else console.log(`failed: ${error}`);
    }
  }
}

function printMachine(machine) {
  const facts = Object.entries(machine).map(([name, value]) => [name, { value: String(value) }]);
  console.table(Object.fromEntries(facts));
}

function printTable(rows) {
  console.table(
    Object.fromEntries(
      rows.map(({ name, figures, aims }) => [
        name,
        {
          ...Object.fromEntries(
            Object.entries(figures).map(([figure, value]) => [figure, roundOf(value?.median)]),
          ),
          aims: aims.map(({ text, isMet }) => `${text} ${isMet ? 'met' : 'MISSED'}`).join('; '),
        },
      ]),
    ),
  );
}

function roundOf(value) {
  return value === undefined ? null : Number(value.toPrecision(4));
}
