/** Why a package isn't taken. Each code is stable: people look it up, programs branch on it. */
export type IntakeErrorCode =
  /** The folder or archive isn't a plugin package, or is built to do harm. */
  | 'plugin.package_refused'
  /** package.json, the description or manifest.json breaks a rule. */
  | 'plugin.manifest_invalid'
  /** What the bundle says of itself isn't what the manifest says. */
  | 'plugin.manifest_mismatch'
  /** The sources can't become one bundle that runs in an isolate. */
  | 'plugin.bundle_refused'
  /** Bytes aren't those that the manifest, or whoever asked for the package, names. */
  | 'plugin.digest_mismatch'
  /** The bundle threw, hung or crashed before it could describe itself. */
  | 'plugin.load_failed';

/** One thing that is wrong, and where: a JSON Pointer (RFC 6901) into the document at hand. */
export interface IntakeProblem {
  pointer: string;
  detail: string;
}

/** A package was refused. `problems` holds every reason that was found, most telling first. */
export class IntakeError extends Error {
  constructor(
    readonly code: IntakeErrorCode,
    message: string,
    readonly problems: readonly IntakeProblem[] = [],
    options?: { cause?: unknown },
  ) {
    super(message, options);
    this.name = 'IntakeError';
  }
}

/** An IntakeError whose message tells its first problems, for those who only print messages. */
export function refuse(
  code: IntakeErrorCode,
  what: string,
  problems: readonly IntakeProblem[],
): IntakeError {
  const SHOWN = 3;
  const shown = problems
    .slice(0, SHOWN)
    .map(({ pointer, detail }) => `${pointer || '/'} ${detail}`);
  const more = problems.length > SHOWN ? `; and ${String(problems.length - SHOWN)} more` : '';
  return new IntakeError(code, `${what}: ${shown.join('; ')}${more}`, problems);
}
