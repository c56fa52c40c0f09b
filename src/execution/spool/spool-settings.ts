/** See docs/reliability.md. */
export class SpoolSettings {
  constructor(
    readonly isOn: boolean,
    /** Of all its files together, without what was set aside. */
    readonly maxBytes: number,
    /** Holds a folder for each host process that spooled something. */
    readonly folder: string,
  ) {}
}
