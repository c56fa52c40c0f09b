import { Inject, Injectable } from '@nestjs/common';

import { systemClock } from '../../common/clock.js';
import { stepFailed, type ProviderResult } from '../../common/provider-result.js';
import { withPatience } from '../database-patience.js';
import { RUN_STORE, type RunStore } from '../run-store.js';
import type { Walk } from '../walk.js';
import type { OutputReference } from './referenced-outputs.js';
import { MAX_LOADED_BYTES, type WantedPayload } from './run-outputs.js';

export type LoadedPayloads =
  /** Until `release`, evaluations find the values. */
  | { readonly ok: true; readonly release: () => void }
  /** Why they can't be had together. */
  | { readonly ok: false; readonly result: ProviderResult };

/** Has large outputs of earlier steps in memory while something looks at them. */
@Injectable()
export class PayloadLoads {
  constructor(@Inject(RUN_STORE) private readonly store: Pick<RunStore, 'readBlobs'>) {}

  /**
   * @param find what will be looked at; asked only when the run has large outputs
   * @throws LeaseLost, and what storage throws
   */
  async load(
    walk: Pick<Walk, 'run' | 'state' | 'journal' | 'signal'>,
    find: () => OutputReference[],
  ): Promise<LoadedPayloads> {
    const { outputs } = walk.state;
    const wanted = outputs.hasLarge ? outputs.listWanted(find()) : [];
    if (wanted.length === 0) return NOTHING;
    const bytes = wanted.reduce((sum, { handle }) => sum + handle.bytes, 0);
    if (bytes > MAX_LOADED_BYTES) return tooMuch(bytes);
    const missing = wanted.filter((one) => !outputs.loadKept(one));
    if (missing.length > 0) await this.read(walk, missing);
    const release = (): void => {
      for (const one of wanted) outputs.release(one);
    };
    return { ok: true, release };
  }

  private async read(
    { run, state, journal, signal }: Pick<Walk, 'run' | 'state' | 'journal' | 'signal'>,
    missing: readonly WantedPayload[],
  ): Promise<void> {
    // What was put aside may not be durable yet.
    await journal.flush();
    const ids = missing.map(({ handle }) => handle.id);
    const values = await withPatience(() => this.store.readBlobs(run.lease, ids), {
      clock: systemClock,
      signal,
    });
    for (const one of missing) {
      const value = values.get(one.handle.id);
      if (value === undefined) throw new Error(`blob ${one.handle.id} is not there`);
      state.outputs.load(one, value);
    }
  }
}

const NOTHING: LoadedPayloads = { ok: true, release: () => undefined };

function tooMuch(bytes: number): LoadedPayloads {
  const [asked, most] = [bytes, MAX_LOADED_BYTES].map((one) => String(Math.ceil(one / 2 ** 20)));
  const message = `it refers to outputs of ${asked ?? ''} MiB, more than the ${most ?? ''} MiB that can be looked at together; refer to single items, or let earlier steps give less`;
  return { ok: false, result: stepFailed('engine.too_large', message) };
}
