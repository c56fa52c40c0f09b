import { runInNewContext } from 'node:vm';

import { parseUntrustedJson } from '../../common/json.js';
import type { IntakePorts } from './intake-ports.js';

/** For unit tests: a bundle of the test's own describes itself without a sandbox; no rules hold. */
export function fakePorts(): IntakePorts {
  return {
    describe(bundle) {
      return new Promise((resolve) => {
        const script = `${bundle}\nJSON.stringify(__stepwell_plugin.default.describe())`;
        resolve(parseUntrustedJson(String(runInNewContext(script, { URL }, { timeout: 2_000 }))));
      });
    },
    findSchemaProblems: () => Promise.resolve([]),
    findTemplateProblems: () => [],
  };
}
