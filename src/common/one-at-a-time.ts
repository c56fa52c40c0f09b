/**
 * Work that is asked for again and again, and never overlaps: who asks while it is under way gets that
 * one. The promise never rejects; `onFailure` hears why.
 */
export function oneAtATime(
  work: () => Promise<void>,
  onFailure: (error: unknown) => void,
): () => Promise<void> {
  let underWay: Promise<void> | null = null;
  return () => {
    underWay ??= work()
      .catch(onFailure)
      .finally(() => {
        underWay = null;
      });
    return underWay;
  };
}
