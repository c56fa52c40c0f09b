const SHORTEST_SHOWN = 12;

/** Enough of a secret to tell it from another: `sk-1***890`. One shorter than 12 characters shows nothing. */
export function maskSecret(secret: string): string {
  const characters = Array.from(secret);
  if (characters.length < SHORTEST_SHOWN) return '***';
  return `${characters.slice(0, 4).join('')}***${characters.slice(-3).join('')}`;
}
