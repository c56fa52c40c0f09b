import { canonicalJson } from '../../common/json.js';
import { findTemplateProblems } from '../../sandbox/declarative/compile-action.js';
import type { IsolateSandbox } from '../../sandbox/isolate/isolate-sandbox.js';
import { DEFAULT_LIMITS } from '../../sandbox/sandbox.js';
import type { CallLimits } from '../../sandbox/sandbox.js';
import { findSchemaProblems } from '../../sandbox/schema/schema-rules.js';
import type { SchemaValidator } from '../../sandbox/schema/schema-validator.js';
import type { IntakePorts } from './intake-ports.js';
import { sha256 } from './manifest.js';

/** The ports over the real sandbox. */
export function sandboxPorts(sandbox: {
  isolate: Pick<IsolateSandbox, 'describe'>;
  schemas: Pick<SchemaValidator, 'validate'>;
}): IntakePorts {
  return {
    async describe(bundle) {
      const digest = sha256(bundle);
      const answer = await sandbox.isolate.describe(
        {
          // A child of its own: packages that nobody has approved yet don't meet.
          tenantId: `intake:${digest}`,
          plugin: { id: 'intake', version: '0.0.0', digest },
          loadBundle: () => Promise.resolve(bundle),
          limits: DESCRIBE_LIMITS,
        },
        AbortSignal.timeout(DESCRIBE_LIMITS.wallMs),
      );
      if (answer.ok) return answer.description;
      throw new Error(`${answer.error.message} (${answer.error.code})`);
    },

    async findSchemaProblems(schema) {
      const problems = findSchemaProblems(schema);
      if (problems.length > 0) return problems;
      // The rules don't compile: whether each keyword has a value of its kind, only a compiler says.
      const key = `intake:${sha256(canonicalJson(schema))}`;
      const verdict = await sandbox.schemas.validate({ key, schema, value: null, trusted: false });
      if (verdict.ok || verdict.fault === 'value_invalid') return [];
      if (verdict.fault === 'unavailable') {
        throw new Error(`its schemas can't be checked now: ${verdict.detail}`);
      }
      return [{ pointer: '', detail: verdict.detail }];
    },

    findTemplateProblems,
  };
}

/** More than a call gets: schemas are converted, which no call does. */
const DESCRIBE_LIMITS: CallLimits = {
  ...DEFAULT_LIMITS,
  cpuMs: 2_000,
  wallMs: 15_000,
  outputBytes: 2 * 1024 * 1024,
};
