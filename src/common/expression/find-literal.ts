/** V8 looks at no more of a longer search text, which makes some searches quadratic (a second per MB). */
const NATIVE_SEARCH_CHARACTERS = 200;

/**
 * Where a literal text occurs in another, from left to right, without overlaps. Linear in the length
 * of both, whatever they are.
 */
export function* findLiteral(text: string, search: string): Generator<number> {
  if (search.length > NATIVE_SEARCH_CHARACTERS) yield* findLongLiteral(text, search);
  else if (search !== '') {
    let at = text.indexOf(search);
    while (at >= 0) {
      yield at;
      at = text.indexOf(search, at + search.length);
    }
  }
}

/** Knuth, Morris, Pratt, "Fast pattern matching in strings" (1977). */
function* findLongLiteral(text: string, search: string): Generator<number> {
  const borders = borderLengths(search);
  let matched = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    while (matched > 0 && search.charCodeAt(matched) !== code) matched = borders[matched - 1] ?? 0;
    if (search.charCodeAt(matched) === code) matched++;
    if (matched === search.length) {
      yield at - search.length + 1;
      matched = 0;
    }
  }
}

/** For each prefix: the length of the longest proper prefix of it that is its suffix, too. */
function borderLengths(search: string): Uint32Array {
  const borders = new Uint32Array(search.length);
  let length = 0;
  for (let at = 1; at < search.length; at++) {
    const code = search.charCodeAt(at);
    while (length > 0 && search.charCodeAt(length) !== code) length = borders[length - 1] ?? 0;
    if (search.charCodeAt(length) === code) length++;
    borders[at] = length;
  }
  return borders;
}
