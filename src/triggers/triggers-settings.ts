/** What an operator decides about calls from outside. */
export class TriggersSettings {
  constructor(
    /** Whether runs are taken while the database is away. */
    readonly spool: boolean,
  ) {}
}
