/** @param times sorted here */
export function quantilesOf(times) {
  const sorted = Float64Array.from(times).sort();
  const at = (q) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0;
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: sorted.at(-1) ?? 0 };
}

/** Repetitions of one measurement: of each of its figures the median, the least and the most. */
export function spreadOf(repetitions) {
  const [first] = repetitions;
  return Object.fromEntries(
    Object.keys(first).map((name) => {
      const values = repetitions.map((one) => one[name]).filter((value) => value !== null);
      if (values.length === 0) return [name, null];
      values.sort((a, b) => a - b);
      const middle = values.length >> 1;
      const median =
        values.length % 2 === 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
      return [name, { median, min: values[0], max: values.at(-1) }];
    }),
  );
}
