/**
 * The ways in which a secret may stand in what a server answers or a plugin says: as it is, escaped
 * for JSON, URLs and HTML, in hex, and in base64, alone or somewhere inside a longer encoded text.
 *
 * Not covered: UTF-16, two encodings one upon the other (but base64 inside a URL or JSON is), bodies
 * compressed twice, base64 broken into lines, a secret in pieces. Redaction is the last net; that a
 * secret goes to its own hosts alone is the control.
 * @returns no form twice; none for a secret that is too short
 */
export function secretForms(secret: string): Uint8Array[] {
  // Both ends of a header's value lose their white space on the way.
  const text = secret.toWellFormed().trim();
  const utf8 = Buffer.from(text);
  if (text.length < MIN_SECRET_CHARS) return [];
  const forms = new FormSet();
  for (const form of textForms(text)) forms.addText(form);
  addEncodedForms(forms, utf8);
  if (utf8.length > text.length && LATIN_1.test(text)) {
    const latin1 = Buffer.from(text, 'latin1');
    forms.addBytes(latin1);
    addEncodedForms(forms, latin1);
  }
  return forms.all();
}

/** Shorter secrets would tear holes into every text, and protect nothing: they can be guessed. */
export const MIN_SECRET_CHARS = 4;

/**
 * Base64 of fewer bytes has forms of 4 to 6 characters, and those turn up by chance: in 5 MiB of
 * random base64 one of 4 characters about once in three, one of 7 once in a million.
 */
export const MIN_ENCODED_BYTES = 6;

const LATIN_1 = /^[\0-\xff]*$/;

class FormSet {
  readonly #forms = new Map<string, Uint8Array>();

  addText(text: string): void {
    this.addBytes(Buffer.from(text));
  }

  addBytes(bytes: Buffer): void {
    this.#forms.set(bytes.toString('latin1'), bytes);
  }

  all(): Uint8Array[] {
    return [...this.#forms.values()];
  }
}

function addEncodedForms(forms: FormSet, bytes: Buffer): void {
  if (bytes.length < MIN_ENCODED_BYTES) return;
  const hex = bytes.toString('hex');
  forms.addText(hex);
  forms.addText(hex.toUpperCase());
  for (const form of base64Forms(bytes)) {
    forms.addText(form);
    forms.addText(form.replaceAll('+', '-').replaceAll('/', '_'));
    forms.addText(form.replaceAll('/', '\\/'));
    for (const escaped of bothCases(encodeURIComponent(form))) forms.addText(escaped);
  }
}

/**
 * As a text of its own, padded or not, and at each of the three places that it can take in groups of
 * three bytes, without the characters that its neighbours have a part in (RFC 4648, section 4).
 */
function base64Forms(bytes: Buffer): string[] {
  const alone = bytes.toString('base64');
  const inside = [0, 1, 2].map((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
    return text.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6));
  });
  return [alone, alone.replace(/=+$/, ''), ...inside];
}

function textForms(text: string): string[] {
  return [text, ...jsonForms(text), ...urlForms(text), ...htmlForms(text)];
}

/** As JavaScript writes it, and as PHP, Python, Go, Java and .NET do: each escapes some more. */
function jsonForms(text: string): string[] {
  const plain = JSON.stringify(text).slice(1, -1);
  return [
    plain,
    plain.replaceAll('/', '\\/'),
    unicodeEscaped(plain, /[^\0-~]/g),
    unicodeEscaped(plain, /[^\0-~]/g).replaceAll('/', '\\/'),
    unicodeEscaped(plain, /[<>&]/g),
    unicodeEscaped(plain, /[<>&='\u2028\u2029]/g),
    unicodeEscaped(plain.replaceAll('\\"', '"'), /[^\0-~]|["<>&'+`]/g).replaceAll(
      /\\u[0-9a-f]{4}/g,
      (escape) => `\\u${escape.slice(2).toUpperCase()}`,
    ),
  ];
}

function unicodeEscaped(text: string, unsafe: RegExp): string {
  return text.replaceAll(
    unsafe,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Percent-encoded as a component, strictly (RFC 3986), as a form, as a whole URL, and as a query. */
function urlForms(text: string): string[] {
  const component = encodeURIComponent(text);
  const strict = component.replaceAll(/[!'()*]/g, percentOf);
  const form = new URLSearchParams([['', text]]).toString().slice(1);
  return [
    component,
    component.replaceAll('%20', '+'),
    strict,
    strict.replaceAll('%20', '+'),
    form,
    form.replaceAll('+', '%20'),
    encodeURI(text),
    encodeURI(text).replaceAll('%25', '%'),
  ].flatMap(bothCases);
}

function percentOf(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}

function bothCases(escaped: string): string[] {
  return [escaped, escaped.replaceAll(/%[0-9A-F]{2}/g, (escape) => escape.toLowerCase())];
}

/** The usual libraries differ in how they write quotes, and in what else they escape. */
function htmlForms(text: string): string[] {
  return HTML_ESCAPES.map((escapes) =>
    text.replaceAll(/[&<>"'`=/+]/g, (character) => escapes[character] ?? character),
  );
}

const MARKUP = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };
const HTML_ESCAPES: Readonly<Record<string, string>>[] = [
  MARKUP,
  { ...MARKUP, '"': '&quot;' },
  { ...MARKUP, '"': '&quot;', "'": '&#39;' },
  { ...MARKUP, '"': '&quot;', "'": '&#039;' },
  { ...MARKUP, '"': '&quot;', "'": '&#x27;' },
  { ...MARKUP, '"': '&quot;', "'": '&apos;' },
  { ...MARKUP, '"': '&#34;', "'": '&#39;' },
  { ...MARKUP, '"': '&#34;', "'": '&#39;', '+': '&#43;' },
  { ...MARKUP, '"': '&quot;', "'": '&#39;', '/': '&#x2F;', '`': '&#x60;', '=': '&#x3D;' },
  { ...MARKUP, '"': '&quot;', "'": '&#x27;', '/': '&#x2F;', '`': '&#x60;' },
];
