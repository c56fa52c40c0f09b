import { setTimeout as delay } from 'node:timers/promises';

/** Polls until `probe` gives something, or fails after the deadline. */
export async function eventually<T>(
  what: string,
  probe: () => Promise<T | null | undefined | false> | T | null | undefined | false,
  deadlineMs = 15_000,
): Promise<T> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    const found = await probe();
    if (found !== null && found !== undefined && found !== false) return found;
    if (performance.now() > end)
      throw new Error(`${what} did not happen within ${String(deadlineMs)} ms`);
    await delay(20);
  }
}
