/** What one step runs, fixed when its plan was saved: an upgrade of the host breaks no plan. */
export interface Pin {
  version: string;
  /** Digest of the plugin version (its manifest). */
  digest: string;
}

/** By step id. */
export type Pins = Record<string, Pin>;
