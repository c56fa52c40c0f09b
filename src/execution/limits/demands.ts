import type { RunDefinition } from '../run-store.js';
import { WHOLE_TENANT } from './limit-kinds.js';

/** What a run counts against, as `run_demands` says it in SQL: `<kind>:<subject>`, each once. */
export function demandsOf(run: {
  planId: string | null;
  definition: Pick<RunDefinition, 'steps'>;
}): string[] {
  const { planId, definition } = run;
  return [
    ...new Set([
      `tenant:${WHOLE_TENANT}`,
      ...(planId === null ? [] : [`plan:${planId}`]),
      ...definition.steps.flatMap(({ provider, credential }) => [
        `provider:${provider}`,
        ...(typeof credential === 'string' ? [`credential:${credential}`] : []),
      ]),
    ]),
  ];
}
