import type { Tier } from '@stepwell/plugin-sdk';

/** What the operator lets one tenant use. */
export interface OperatorPolicy {
  /** What holds for plugins in neither list. */
  default: 'include' | 'exclude';
  include: readonly string[];
  /** Wins over `include`. */
  exclude: readonly string[];
  /** Plugins of a tier with more power aren't permitted. */
  tierCap: Tier;
  /** Hosts that plugins may reach at most; null: no cap. */
  hostCap: readonly string[] | null;
}

/** Of a tenant that the operator made no policy for. */
export const OPEN_POLICY: OperatorPolicy = {
  default: 'include',
  include: [],
  exclude: [],
  tierCap: 'worker',
  hostCap: null,
};
