import type { DefinitionChecks } from './definition-checks.js';
import type { CredentialField } from './manifest.js';

/**
 * Reads the `{{secret.x}}` and `{{credential.x}}` of one text and reports what is wrong with them.
 * @returns whether it holds a secret
 */
export function checkPlaceholders(
  checks: DefinitionChecks,
  place: {
    where: string;
    text: string;
    fields: readonly CredentialField[];
    /** Whether secrets may stand here: in `inject` alone. */
    secrets: boolean;
  },
): boolean {
  const { where, text, fields } = place;
  let holdsSecret = false;
  const rest = text.replaceAll(PLACEHOLDER, (written: string, root: string, name: string) => {
    const field = fields.find((one) => one.name === name);
    if (root === 'secret') holdsSecret = true;
    if (root === 'secret' && !place.secrets) {
      checks.problem(
        where,
        `holds ${written}, which only \`inject\` may: egress places it, here too`,
      );
    } else if (field === undefined) {
      checks.problem(where, `names ${written}, but there is no field "${name}"`);
    } else if (field.secret && root === 'credential') {
      checks.problem(where, `names ${written}, but that field is secret: write {{secret.${name}}}`);
    } else if (!field.secret && root === 'secret') {
      checks.problem(
        where,
        `names ${written}, but that field isn't secret: write {{credential.${name}}}`,
      );
    }
    return '';
  });
  if (rest.includes('{{')) {
    const allowed = place.secrets
      ? '{{secret.field}} and {{credential.field}}'
      : '{{credential.field}}';
    checks.problem(where, `holds other {{...}} than ${allowed}, which are written without spaces`);
  }
  return holdsSecret;
}

const PLACEHOLDER = /\{\{(secret|credential)\.([a-z][a-z0-9_]*)\}\}/g;
