const MAX_NAME_CHARACTERS = 64;
const MAX_CANDIDATES = 500;
const MAX_SHOWN = 20;

/** The known name that somebody most likely meant, or null when none is near. */
export function nearestName(name: string, known: readonly string[]): string | null {
  const wanted = name.slice(0, MAX_NAME_CHARACTERS).toLowerCase();
  let nearest: string | null = null;
  let best = Math.max(1, Math.floor(wanted.length / 3)) + 1;
  for (const candidate of known.slice(0, MAX_CANDIDATES)) {
    if (Math.abs(candidate.length - name.length) >= best) continue;
    const distance = editDistance(wanted, candidate.slice(0, MAX_NAME_CHARACTERS).toLowerCase());
    if (distance < best) [nearest, best] = [candidate, distance];
  }
  return nearest;
}

/** `; did you mean "slack"? Known: http, slack` */
export function suggestion(name: string, known: readonly string[]): string {
  const nearest = nearestName(name, known);
  const meant = nearest === null ? '' : `; did you mean "${nearest}"?`;
  if (known.length === 0) return meant;
  const shown = known.slice(0, MAX_SHOWN).join(', ');
  const more = known.length > MAX_SHOWN ? ` and ${String(known.length - MAX_SHOWN)} more` : '';
  return `${meant === '' ? '.' : meant} Known: ${shown}${more}`;
}

/** Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1];
      const swapped =
        row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      current.push(
        Math.min(
          (last[column] ?? 0) + 1,
          (current[column - 1] ?? 0) + 1,
          (last[column - 1] ?? 0) + (same ? 0 : 1),
          swapped ? (beforeLast[column - 2] ?? 0) + 1 : Infinity,
        ),
      );
    }
    [beforeLast, last] = [last, current];
  }
  return last[b.length] ?? 0;
}
