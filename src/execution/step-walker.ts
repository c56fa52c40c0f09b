import { Inject, Injectable } from '@nestjs/common';

import { CLOCK, type Clock } from '../common/clock.js';
import { ExpressionError } from '../common/expression/expression-error.js';
import { stepFailed, type ProviderResult } from '../common/provider-result.js';
import type { ForEach, PlanStep } from '../plans/rules/plan-definition.js';
import { evaluateWhen, parseWhen } from '../plans/rules/when.js';
import { PayloadLoads } from './blobs/payload-loads.js';
import { outputsInParams, outputsInWhen } from './blobs/referenced-outputs.js';
import { LoopWalker } from './loop-walker.js';
import { PlaceWalker, type PlaceEnd } from './place-walker.js';
import { WHOLE_STEP } from './run-store.js';
import { StepPreparer } from './step-preparer.js';
import { StepRunner } from './step-runner.js';
import { entryHead, type Walk } from './walk.js';
import { SubPlans } from './waits/sub-plans.js';
import { WaitWalker } from './waits/wait-walker.js';

/** Takes one step from its condition through all of its attempts, or items, to its result. */
@Injectable()
export class StepWalker {
  private readonly places: PlaceWalker;
  private readonly loops: LoopWalker;

  constructor(
    private readonly preparer: StepPreparer,
    runner: StepRunner,
    subPlans: SubPlans,
    private readonly payloads: PayloadLoads,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {
    const waits = new WaitWalker(runner, subPlans, clock);
    this.places = new PlaceWalker(preparer, runner, waits, clock);
    this.loops = new LoopWalker(this.places, clock);
  }

  /** Ends when the step has a result, or when the walk stops before it has. @throws LeaseLost */
  async walk(walk: Walk, step: PlanStep): Promise<void> {
    const { state } = walk;
    // What has begun was wanted then.
    if (step.when !== null && !state.hasBegun(step)) {
      const isWanted = await this.isWanted(walk, step.when);
      if (isWanted === false) {
        await this.skip(walk, step);
        return;
      }
      if (isWanted !== true) {
        await this.failUnrun(walk, step, isWanted);
        return;
      }
    }
    if (step.forEach) {
      await this.walkItems(walk, step, step.forEach);
      return;
    }
    const end = await this.places.walk(walk, { step, iteration: 0, scope: state.scope });
    if (end) await settle(walk, step, end);
  }

  /** Whether the step runs, or why that can't be said. */
  private async isWanted(walk: Walk, when: string): Promise<boolean | ProviderResult> {
    const loaded = await this.payloads.load(walk, () => outputsInWhen(when));
    if (!loaded.ok) return loaded.result;
    const isWanted = readCondition(when, walk);
    loaded.release();
    return isWanted;
  }

  private async walkItems(walk: Walk, step: PlanStep, forEach: ForEach): Promise<void> {
    const loaded = await this.payloads.load(walk, () => outputsInParams(forEach.items));
    if (!loaded.ok) {
      await this.failUnrun(walk, step, loaded.result);
      return;
    }
    // The items are parts of it, so that letting go earlier would free nothing.
    await this.loops.walk(walk, step, forEach);
    loaded.release();
  }

  private async skip(walk: Walk, step: PlanStep): Promise<void> {
    walk.state.settle(step.id, { status: 'skipped' });
    const iteration = step.forEach ? WHOLE_STEP : 0;
    const head = entryHead(walk, { step, iteration }, { attempt: 0, now: this.clock.now() });
    await walk.journal.add({ ...head, status: 'skipped' });
  }

  /** A step of which nobody can say whether it is wanted. */
  private async failUnrun(walk: Walk, step: PlanStep, result: ProviderResult): Promise<void> {
    const input = await this.preparer.showParams(walk, step);
    if (step.forEach) {
      await this.loops.end(walk, step, { result, input, begin: this.clock.monotonic() });
      return;
    }
    const end = await this.places.endUnrun(walk, { step, iteration: 0 }, { input, result });
    await settle(walk, step, end);
  }
}

async function settle(
  { state, journal }: Walk,
  step: PlanStep,
  { result, effects }: PlaceEnd,
): Promise<void> {
  state.settle(step.id, { status: result.success ? 'success' : 'error', result });
  // What has changed something is told at once. What can be asked again is durable soon, and in any case
  // before the next effect. The last result of a run is written together with its end.
  if (result.success && effects === 'write' && !state.isLast(step.id)) await journal.flush();
}

/** Whether the step runs, or why that can't be said. */
function readCondition(when: string, { state }: Walk): boolean | ProviderResult {
  try {
    return evaluateWhen(parseWhen(when), state.scope, state.meter);
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
    const code = error.reason === 'missing' ? 'reference.missing' : 'input.invalid';
    return stepFailed(code, `when: ${error.message}`);
  }
}
