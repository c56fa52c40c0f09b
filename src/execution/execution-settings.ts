/** What an operator sets of this host's share of the work. */
export class ExecutionSettings {
  constructor(
    readonly maxRunningExecutions: number,
    /** How long a stopping host lets running steps finish, milliseconds. */
    readonly drainMs: number,
  ) {}
}
