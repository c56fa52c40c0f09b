import type { JsonValue } from '../../common/json.js';
import type { PlanStep } from '../../plans/rules/plan-definition.js';
import type { StepResult } from '../../plans/rules/reference-scope.js';
import type { PlanOutcome } from '../../plans/rules/step-loop.js';
import type { JournalEntry, RunOutcome } from '../run-store.js';
import { BlobHandle, HeldList, measure, outputBlobId } from './blob-handle.js';
import { PayloadCache } from './payload-cache.js';
import { showPayload } from './payload-view.js';
import type { OutputReference } from './referenced-outputs.js';

const MIB = 1024 * 1024;

/** All outputs of a run. */
const MAX_OUTPUT_BYTES = 64 * MIB;
/** Those of them that stand in rows: they are in memory while the run is walked. */
export const MAX_IN_ROW_OUTPUT_BYTES = 16 * MIB;
/** The others are in memory only while they were used last, of all runs of a host. */
const MAX_CACHED_BYTES = 128 * MIB;
/** What one evaluation, or the list that an execution gives, may be made of. */
export const MAX_LOADED_BYTES = 16 * MIB;

/** Of a host, for all of its runs. */
export function createPayloadCache(): PayloadCache {
  return new PayloadCache(MAX_CACHED_BYTES);
}

/** A large value, and the step whose output it is or belongs to. */
export interface WantedPayload {
  readonly stepId: string;
  readonly handle: BlobHandle;
}

/**
 * What the steps of one run gave. Large outputs stand behind handles: `results` has null in their
 * place, except while somebody has them loaded.
 */
export class RunOutputs {
  readonly results = new Map<string, StepResult>();
  private readonly held = new Map<string, BlobHandle | HeldList>();
  private readonly loaded = new Map<string, { value: JsonValue; users: number }>();
  private inRowBytes = 0;
  private bytes = 0;

  constructor(
    private readonly executionId: string,
    private readonly steps: readonly PlanStep[],
    /** Shared by the runs of a host: handles of different ones never have the same id. */
    private readonly cache: PayloadCache,
  ) {}

  /** Whether any output has to be loaded before it can be read. */
  get hasLarge(): boolean {
    return this.held.size > 0;
  }

  /** Counts one more output, or says why there is no room for it. */
  admit(output: JsonValue): string | null {
    const { bytes, isLarge } = measure(output, MAX_OUTPUT_BYTES);
    const advice = 'let steps give only what later ones need';
    if (this.bytes + bytes > MAX_OUTPUT_BYTES) {
      return `the outputs of this execution's steps take more than ${inMib(MAX_OUTPUT_BYTES)} together; ${advice}`;
    }
    if (!isLarge && this.inRowBytes + bytes > MAX_IN_ROW_OUTPUT_BYTES) {
      return `the small outputs of this execution's steps, of up to 64 KiB each, take more than ${inMib(MAX_IN_ROW_OUTPUT_BYTES)} together; ${advice}`;
    }
    this.count(bytes, isLarge);
    return null;
  }

  /** Counts an output that an earlier walk had room for. */
  recount(output: JsonValue | BlobHandle): void {
    if (output instanceof BlobHandle) this.count(output.bytes, true);
    else {
      const { bytes, isLarge } = measure(output, MAX_OUTPUT_BYTES);
      this.count(bytes, isLarge);
    }
  }

  /** An output as it is kept: itself, or its handle when it is large. */
  keep(
    place: Pick<JournalEntry, 'stepId' | 'iteration'>,
    output: JsonValue,
  ): JsonValue | BlobHandle {
    const { bytes, isLarge } = measure(output, MAX_OUTPUT_BYTES);
    if (!isLarge) return output;
    const handle = new BlobHandle(outputBlobId(this.executionId, place), bytes);
    this.cache.put(handle, output);
    return handle;
  }

  /** @param kept where the output of a success stands, if it isn't in the result */
  settle(stepId: string, result: StepResult, kept: BlobHandle | HeldList | null): void {
    this.results.set(stepId, result);
    if (result.status !== 'success' || kept === null) return;
    this.held.set(stepId, kept);
    this.refresh(stepId);
  }

  /** The large values behind references, each once. */
  listWanted(references: readonly OutputReference[]): WantedPayload[] {
    const wanted = new Map<string, WantedPayload>();
    for (const { step, item } of references) {
      // Ids are never numeric, so a number is always a place in the list.
      const stepId = this.held.has(step.key) ? step.key : (this.steps[step.index]?.id ?? '');
      for (const handle of handlesIn(this.held.get(stepId), item)) {
        wanted.set(handle.id, { stepId, handle });
      }
    }
    return [...wanted.values()];
  }

  /** Makes a large value readable if it is in memory; each success ends with `release`. */
  loadKept({ stepId, handle }: WantedPayload): boolean {
    const value = this.loaded.get(handle.id)?.value ?? this.cache.find(handle);
    if (value === undefined) return false;
    this.load({ stepId, handle }, value);
    return true;
  }

  /** Makes a large value readable until `release`. */
  load({ stepId, handle }: WantedPayload, value: JsonValue): void {
    const users = this.loaded.get(handle.id)?.users ?? 0;
    this.loaded.set(handle.id, { value, users: users + 1 });
    this.cache.put(handle, value);
    if (users === 0) this.refresh(stepId);
  }

  release({ stepId, handle }: WantedPayload): void {
    const loaded = this.loaded.get(handle.id);
    if (!loaded || --loaded.users > 0) return;
    this.loaded.delete(handle.id);
    this.refresh(stepId);
  }

  /**
   * What a run ends with, its output as it is kept; of a list that is too large to be put together,
   * the large items as lists of executions show them.
   */
  complete(outcome: PlanOutcome): RunOutcome {
    const last = this.steps.findLast(({ id }) => this.results.get(id)?.status === 'success');
    const output = last && this.held.get(last.id);
    if (!output) return outcome;
    if (output instanceof BlobHandle || output.bytes <= MAX_LOADED_BYTES) {
      return { ...outcome, output };
    }
    // All of it has been done, so that a failure would help nobody.
    const shown = output.items.map((item) =>
      item instanceof BlobHandle ? showPayload(this.executionId, item) : item,
    );
    return { ...outcome, output: shown };
  }

  private count(bytes: number, isLarge: boolean): void {
    this.bytes += bytes;
    if (!isLarge) this.inRowBytes += bytes;
  }

  /** Shows what is loaded of a step's output, and null for the rest. */
  private refresh(stepId: string): void {
    const held = this.held.get(stepId);
    const settled = this.results.get(stepId);
    if (!held || settled?.status !== 'success') return;
    const read = (part: JsonValue | BlobHandle): JsonValue =>
      part instanceof BlobHandle ? (this.loaded.get(part.id)?.value ?? null) : part;
    const output = held instanceof HeldList ? held.items.map(read) : read(held);
    this.results.set(stepId, { ...settled, result: { ...settled.result, output } });
  }
}

function handlesIn(held: BlobHandle | HeldList | undefined, item: number | null): BlobHandle[] {
  if (held === undefined) return [];
  if (held instanceof BlobHandle) return [held];
  const parts = item === null ? held.items : held.items.slice(item, item + 1);
  return parts.filter((part) => part instanceof BlobHandle);
}

function inMib(bytes: number): string {
  return `${String(bytes / MIB)} MiB`;
}
