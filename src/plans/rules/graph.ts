/** What must be done before what; steps are named by their place in the list, from 0. */
export interface PlanGraph {
  readonly dependencies: readonly (readonly number[])[];
}

interface GraphStep {
  readonly id: string;
  readonly dependsOn: readonly string[];
}

/** Dependencies on ids that no step has are left out: validation reports those itself. */
export function buildGraph(steps: readonly GraphStep[]): PlanGraph {
  const places = new Map<string, number>();
  steps.forEach((step, index) => {
    if (!places.has(step.id)) places.set(step.id, index);
  });
  return {
    dependencies: steps.map((step) =>
      step.dependsOn.map((id) => places.get(id)).filter((index) => index !== undefined),
    ),
  };
}

/** All steps that are done before one: what it may refer to. A step in a cycle is its own ancestor. */
export function ancestorsOf(graph: PlanGraph, index: number): Set<number> {
  const ancestors = new Set<number>();
  const pending = [...(graph.dependencies[index] ?? [])];
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
    if (ancestors.has(at)) continue;
    ancestors.add(at);
    pending.push(...(graph.dependencies[at] ?? []));
  }
  return ancestors;
}

/**
 * The cycles in which steps wait for one another, each as the steps along it: `[0, 2]` means that 0
 * waits for 2 and 2 waits for 0. No step is in two of them, so mending all may show the next.
 */
export function findCycles(graph: PlanGraph): number[][] {
  const cycles: number[][] = [];
  const settled = new Set<number>();
  const knotted = new Set<number>();
  for (let start = 0; start < graph.dependencies.length; start++) {
    for (const cycle of walkForCycles(graph, start, settled)) {
      if (cycle.some((step) => knotted.has(step))) continue;
      cycles.push(cycle);
      for (const step of cycle) knotted.add(step);
    }
  }
  return cycles;
}

/** Depth first without recursion; what it has seen is settled, be it in a cycle or not. */
function* walkForCycles(
  graph: PlanGraph,
  start: number,
  settled: Set<number>,
): Generator<number[]> {
  if (settled.has(start)) return;
  const path: { step: number; next: number }[] = [{ step: start, next: 0 }];
  const onPath = new Set([start]);
  for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
    const dependency = graph.dependencies[top.step]?.[top.next++];
    if (dependency === undefined) {
      path.pop();
      onPath.delete(top.step);
      settled.add(top.step);
    } else if (onPath.has(dependency)) {
      const steps = path.map(({ step }) => step);
      yield steps.slice(steps.indexOf(dependency));
    } else if (!settled.has(dependency)) {
      path.push({ step: dependency, next: 0 });
      onPath.add(dependency);
    }
  }
}

/** The steps, in list order, that have not begun and whose dependencies are all done. */
export function readySteps<T extends GraphStep>(
  steps: readonly T[],
  state: { isDone: (id: string) => boolean; hasBegun: (id: string) => boolean },
): T[] {
  return steps.filter((step) => !state.hasBegun(step.id) && step.dependsOn.every(state.isDone));
}
