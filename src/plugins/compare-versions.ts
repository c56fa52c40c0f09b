/**
 * Orders versions as Semantic Versioning 2.0.0, section 11, does: negative when `a` comes first.
 * Build metadata doesn't count; what isn't a number compares as text.
 */
export function compareVersions(a: string, b: string): number {
  const [coreA, preA] = split(a);
  const [coreB, preB] = split(b);
  const core = compareParts(coreA, coreB);
  if (core !== 0) return core;
  if (preA === undefined || preB === undefined) {
    return Number(preA === undefined) - Number(preB === undefined);
  }
  return compareParts(preA, preB);
}

function split(version: string): [string, string | undefined] {
  const plain = version.split('+')[0] ?? '';
  const dash = plain.indexOf('-');
  return dash < 0 ? [plain, undefined] : [plain.slice(0, dash), plain.slice(dash + 1)];
}

function compareParts(a: string, b: string): number {
  const partsA = a.split('.');
  const partsB = b.split('.');
  for (let i = 0; i < Math.max(partsA.length, partsB.length); i++) {
    const [x, y] = [partsA[i], partsB[i]];
    if (x === undefined || y === undefined)
      return Number(y === undefined) - Number(x === undefined);
    const [n, m] = [Number(x), Number(y)];
    const numeric = [Number.isInteger(n), Number.isInteger(m)];
    if (numeric[0] && numeric[1] && n !== m) return n - m;
    if (numeric[0] !== numeric[1]) return numeric[0] ? -1 : 1;
    if (!numeric[0] && x !== y) return x < y ? -1 : 1;
  }
  return 0;
}
