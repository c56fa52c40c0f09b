import type { WorkTask } from './work-queue.js';

/** Counts the jobs under way, and says of which tasks no more may be taken now. */
export class TaskGates {
  private readonly running = new Map<string, number>();

  constructor(private readonly tasks: ReadonlyMap<string, WorkTask>) {}

  began(task: string): void {
    this.running.set(task, this.count(task) + 1);
  }

  ended(task: string): void {
    this.running.set(task, this.count(task) - 1);
  }

  /** Names of the tasks that are shut. */
  listShut(): string[] {
    return [...this.tasks.values()]
      .filter((task) => this.count(task.name) >= task.concurrency || task.isFull?.() === true)
      .map(({ name }) => name);
  }

  private count(task: string): number {
    return this.running.get(task) ?? 0;
  }
}
