/**
 * Stands in for tr46 in the kernel's URL parser: the mapping table of UTS #46 is ten times the size
 * of the rest of the kernel. Unicode normalisation and lower case cover what people type; whatever
 * this gives, egress parses the URL again with the full table before it decides anything.
 */
export function toASCII(domain: string): string | null {
  const mapped = domain
    .normalize('NFKC')
    .toLowerCase()
    .normalize('NFC')
    .replace(/[\u3002\uff0e\uff61]/g, '.')
    .replace(/\u00ad/g, '');
  const labels = mapped.split('.');
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i] as string;
    if (!/[^\u0000-\u007f]/.test(label)) continue;
    const encoded = punycode(label);
    if (encoded === null) return null;
    labels[i] = `xn--${encoded}`;
  }
  return labels.join('.');
}

/** Bootstring with the parameters of Punycode (RFC 3492, section 6.3). */
function punycode(label: string): string | null {
  const points = Array.from(label, (character) => character.codePointAt(0) as number);
  const basic = points.filter((point) => point < INITIAL_N);
  let out = String.fromCharCode(...basic);
  let handled = basic.length;
  if (handled > 0) out += '-';
  let n = INITIAL_N;
  let delta = 0;
  let bias = 72;
  while (handled < points.length) {
    const next = Math.min(...points.filter((point) => point >= n));
    delta += (next - n) * (handled + 1);
    if (delta > 0x7fffffff) return null;
    n = next;
    for (const point of points) {
      if (point < n) delta++;
      if (point !== n) continue;
      out += variableLength(delta, bias);
      bias = adapt(delta, handled + 1, handled === basic.length);
      delta = 0;
      handled++;
    }
    delta++;
    n++;
  }
  return out;
}

const INITIAL_N = 0x80;
const RADIX = 36;
const T_MIN = 1;
const T_MAX = 26;

function variableLength(delta: number, bias: number): string {
  let out = '';
  let rest = delta;
  for (let k = RADIX; ; k += RADIX) {
    const threshold = k <= bias ? T_MIN : k >= bias + T_MAX ? T_MAX : k - bias;
    if (rest < threshold) return out + digit(rest);
    out += digit(threshold + ((rest - threshold) % (RADIX - threshold)));
    rest = Math.floor((rest - threshold) / (RADIX - threshold));
  }
}

function adapt(delta: number, count: number, isFirst: boolean): number {
  let rest = isFirst ? Math.floor(delta / 700) : delta >> 1;
  rest += Math.floor(rest / count);
  let k = 0;
  for (; rest > ((RADIX - T_MIN) * T_MAX) >> 1; k += RADIX)
    rest = Math.floor(rest / (RADIX - T_MIN));
  return k + Math.floor(((RADIX - T_MIN + 1) * rest) / (rest + 38));
}

function digit(value: number): string {
  return 'abcdefghijklmnopqrstuvwxyz0123456789'.charAt(value);
}
