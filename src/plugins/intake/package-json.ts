import { parseUntrustedJson, UnsafeJsonError } from '../../common/json.js';
import type { JsonValue } from '../../common/json.js';
import { IntakeError, refuse } from './intake-error.js';
import type { IntakeErrorCode } from './intake-error.js';
import { packageJsonSchema } from './manifest-schemas.js';
import type { PackageFacts } from './manifest.js';
import { check } from './problems.js';

/**
 * Reads the parts of a package.json that matter.
 * @throws IntakeError `plugin.manifest_invalid` with every problem at once
 */
export function readPackageJson(text: string): PackageFacts {
  const checked = check(packageJsonSchema, parseDocument('package.json', text));
  if (checked.ok) return checked.value as PackageFacts;
  throw refuse('plugin.manifest_invalid', 'package.json', checked.problems);
}

/** Parses a JSON document of a package; `name` is for the message. */
export function parseDocument(
  name: string,
  text: string,
  code: IntakeErrorCode = 'plugin.manifest_invalid',
): JsonValue {
  try {
    return parseUntrustedJson(text);
  } catch (error) {
    if (!(error instanceof UnsafeJsonError)) throw error;
    throw new IntakeError(code, `${name}: ${error.message}`, [
      { pointer: '', detail: error.message },
    ]);
  }
}
