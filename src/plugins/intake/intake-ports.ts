import type { ActionManifest, CredentialManifest, JsonSchema } from '@stepwell/plugin-sdk';

import type { JsonValue } from '../../common/json.js';
import type { IntakeProblem } from './intake-error.js';

/** What packing and verifying need of the sandbox. */
export interface IntakePorts {
  /**
   * Runs `describe()` of a bundle in a real isolate and returns what it gave, parsed and free of
   * keys that reach into prototypes. Rejects with a message for people when the bundle can't.
   */
  describe(bundle: string): Promise<JsonValue>;
  /** Rules that a JSON Schema of a plugin breaks, or why it can't be compiled; pointers into the schema. */
  findSchemaProblems(schema: JsonSchema): Promise<readonly IntakeProblem[]>;
  /**
   * Rules that the templates of an action break, none when it has none; pointers into the action.
   * @param credential the type of credential that the action names, if it is known
   */
  findTemplateProblems(
    action: ActionManifest,
    credential?: CredentialManifest,
  ): readonly IntakeProblem[];
}
