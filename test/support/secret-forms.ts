/** Every form in which a secret could turn up by plain encoding: what no output may hold. */
export function formsOf(secret: string): Map<string, string> {
  const bytes = Buffer.from(secret);
  const forms = new Map<string, string>([
    ['raw', secret],
    ['json', JSON.stringify(secret).slice(1, -1)],
    ['hex', bytes.toString('hex')],
    ['HEX', bytes.toString('hex').toUpperCase()],
    ['url', encodeURIComponent(secret)],
    ['form', new URLSearchParams({ a: secret }).toString().slice(2)],
    ['base64', bytes.toString('base64').replace(/=+$/, '')],
    ['base64url', bytes.toString('base64url')],
  ]);
  // Inside a longer text that is encoded as a whole, such as `user:secret`, the bits are shifted.
  for (const shift of [1, 2]) {
    const shifted = Buffer.concat([Buffer.alloc(shift), bytes]).toString('base64');
    const inner = shifted.slice(Math.ceil((shift * 8) / 6), -4);
    forms.set(`base64 shifted by ${String(shift)}`, inner);
    forms.set(
      `base64url shifted by ${String(shift)}`,
      inner.replaceAll('+', '-').replaceAll('/', '_'),
    );
  }
  return forms;
}

/** The names of the forms of a secret that a text or memory holds. */
export function findForms(haystack: string | Buffer, secret: string): string[] {
  return [...formsOf(secret)].flatMap(([name, form]) => (haystack.includes(form) ? [name] : []));
}
