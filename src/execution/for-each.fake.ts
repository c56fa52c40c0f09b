import type { JsonValue } from '../common/json.js';
import { stepFailed, type ProviderResult } from '../common/provider-result.js';
import type { ForEachDefinition, StepDefinition } from '../plans/rules/plan-definition.js';
import type { JournalEntry, LeasedRun } from './run-store.js';
import { setUp, type FakeRun, type Script } from './run-walker.fake.js';

export const refused = (): ProviderResult => stepFailed('provider.rejected', 'no');
export const busy = (): ProviderResult => stepFailed('provider.unavailable', 'busy');

/** A run of one step that goes through a list. */
export function loop(
  items: string | JsonValue[],
  more: Partial<ForEachDefinition> & {
    script?: Partial<Script>;
    step?: Partial<StepDefinition>;
    before?: StepDefinition[];
    journal?: JournalEntry[];
  } = {},
): FakeRun {
  const { script, step, before = [], journal, ...rest } = more;
  const params = { it: '${item}', at: '${index}' };
  const each = { id: 'each', provider: 'p', action: 'a', params, for_each: { items, ...rest } };
  const scripts = { each: { results: [], ...script } };
  return setUp(scripts, journal, [...before, { ...each, ...step }]);
}

/** The next host takes the run over, with what the journal holds. */
export function takeOver(
  made: FakeRun,
  more: Partial<LeasedRun> & { script?: Partial<Script> } = {},
) {
  const { script, ...rest } = more;
  const next = setUp(
    { each: { results: [], ...script } },
    made.store.stored(made.run.journal),
    made.run.definition.steps,
  );
  Object.assign(next.run, { input: made.run.input, ...rest });
  return next;
}

export const runs = ({ happened }: FakeRun): string[] =>
  happened.filter((what) => /^(run|replay):/.test(what));
export const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
