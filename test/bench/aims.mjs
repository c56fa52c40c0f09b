/**
 * Holds a row against what it was aimed at.
 * @param {{ name: string, figures: Record<string, { median: number, min: number, max: number } | null>,
 *   aims?: { figure: string, atLeast?: number, atMost?: number }[] }} row
 */
export function judge({ name, figures, aims = [] }) {
  return { name, figures, aims: aims.map((aim) => judgeAim(aim, figures[aim.figure])) };
}

function judgeAim({ figure, atLeast, atMost }, measured) {
  const value = measured?.median ?? NaN;
  const isMet = atLeast === undefined ? value <= atMost : value >= atLeast;
  const text = atLeast === undefined ? `at most ${atMost}` : `at least ${atLeast}`;
  return { figure, text: `${figure} ${text}`, isMet };
}
