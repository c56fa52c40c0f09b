/** What `ended` gives, or null after `ms`; leaves no timer behind. */
export async function firstOf<T>(ended: Promise<T>, ms: number): Promise<T | null> {
  const timer = Promise.withResolvers<null>();
  const timeout = setTimeout(timer.resolve, ms, null);
  try {
    return await Promise.race([ended, timer.promise]);
  } finally {
    clearTimeout(timeout);
  }
}
