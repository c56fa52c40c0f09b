import type { Overlap } from './schedule.entity.js';

/** The most times that wait behind one run. */
export const MAX_WAITING = 100;

export type OverlapDecision =
  { start: true; cancelsOthers: boolean } | { start: false; waits: boolean; reason: string | null };

/** What becomes of a time that came due, given the runs before it that haven't ended. */
export function decideOverlap(
  overlap: Overlap,
  before: { unfinished: number; waiting: number },
): OverlapDecision {
  const isFree = before.unfinished === 0 && before.waiting === 0;
  if (isFree || overlap === 'allow') return { start: true, cancelsOthers: false };
  if (overlap === 'cancel') return { start: true, cancelsOthers: true };
  if (overlap === 'skip') {
    return { start: false, waits: false, reason: 'the run before it had not ended' };
  }
  if (before.waiting < MAX_WAITING) return { start: false, waits: true, reason: null };
  const reason = `${String(MAX_WAITING)} times wait already for the run before them to end`;
  return { start: false, waits: false, reason };
}
