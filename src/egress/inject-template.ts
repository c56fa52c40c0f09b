/** A piece of a template: fixed text, or the value of a field. */
export type InjectPart = string | InjectField;

export interface InjectField {
  source: 'secret' | 'credential';
  name: string;
}

/**
 * Reads one text of a CredentialInject: fixed text with `{{secret.field}}` and
 * `{{credential.field}}`, written without spaces. Values are put in as they are and never read again.
 * @returns null when it holds any other `{{`
 */
export function parseInjectTemplate(text: string): InjectPart[] | null {
  const parts: InjectPart[] = [];
  let at = 0;
  for (const match of text.matchAll(FIELD)) {
    const [written, source, name] = match;
    parts.push(text.slice(at, match.index));
    parts.push({ source: source === 'secret' ? 'secret' : 'credential', name: name ?? '' });
    at = match.index + written.length;
  }
  parts.push(text.slice(at));
  if (parts.some((part) => typeof part === 'string' && part.includes('{{'))) return null;
  return parts.filter((part) => part !== '');
}

const FIELD = /\{\{(secret|credential)\.([a-z][a-z0-9_]*)\}\}/g;
