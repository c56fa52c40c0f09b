import { TITLES } from './options.mjs';

/** The tables of docs/performance.md. */
export function toMarkdown({ machine, groups }) {
  const facts = Object.entries(machine).map(([name, value]) => `| ${name} | ${String(value)} |`);
  const parts = [['| Machine | |', '|---|---|', ...facts].join('\n')];
  for (const { name, rows, error } of groups) {
    parts.push(`### ${TITLES[name]}\n\n${error === null ? tableOf(rows) : `failed: ${error}`}`);
  }
  return parts.join('\n\n');
}

function tableOf(rows) {
  const columns = [...new Set(rows.flatMap(({ figures }) => Object.keys(figures)))];
  const hasAims = rows.some(({ aims }) => aims.length > 0);
  const head = ['', ...columns, ...(hasAims ? ['aim'] : [])];
  const lines = rows.map(({ name, figures, aims }) => [
    name,
    ...columns.map((column) => cellOf(figures[column])),
    ...(hasAims ? [aims.map(aimText).join(', ')] : []),
  ]);
  return [head, head.map(() => '---'), ...lines]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}

function cellOf(figure) {
  if (!figure) return '';
  const { median, min, max } = figure;
  return min === max
    ? numberText(median)
    : `${numberText(median)} (${numberText(min)}-${numberText(max)})`;
}

function numberText(value) {
  return value.toLocaleString('en-US', { maximumSignificantDigits: value < 1_000 ? 3 : 4 });
}

function aimText({ text, isMet }) {
  return `${text}: ${isMet ? 'met' : '**missed**'}`;
}
