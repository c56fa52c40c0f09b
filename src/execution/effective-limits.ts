import type { LimitRequest } from '@stepwell/plugin-sdk';

import { DEFAULT_LIMITS, MAX_MANIFEST_WALL_MS, type CallLimits } from '../sandbox/sandbox.js';

/** A manifest may ask for more wall time, since models are slow; of the rest it may only ask for less. */
export function effectiveLimits(asked: LimitRequest): CallLimits {
  return {
    ...DEFAULT_LIMITS,
    cpuMs: Math.min(asked.cpuMs ?? DEFAULT_LIMITS.cpuMs, DEFAULT_LIMITS.cpuMs),
    heapMb: Math.min(asked.heapMb ?? DEFAULT_LIMITS.heapMb, DEFAULT_LIMITS.heapMb),
    wallMs: Math.min(asked.wallMs ?? DEFAULT_LIMITS.wallMs, MAX_MANIFEST_WALL_MS),
  };
}
