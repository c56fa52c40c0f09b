import { fileURLToPath } from 'node:url';

import type { JsonSchema, JsonValue } from '../../common/json.js';
import { BoundedCache } from '../../common/bounded-cache.js';
import { CompiledSchema, SchemaCompileError } from './compile-schema.js';
import type { ValueVerdict } from './compile-schema.js';
import type { SchemaError } from './schema-errors.js';
import { LaneUnavailable, TaskCut } from './schema-thread.js';
import { UntrustedLane } from './untrusted-lane.js';
import type { RunTask, SchemaLane } from './untrusted-lane.js';
import type { SchemaTask, SchemaTaskResult } from './worker.js';

/**
 * `value_invalid` is the fault of whoever made the value; `schema_invalid` and `schema_too_costly`
 * are the fault of the plugin whose schema it is, and nothing is known about the value. `unavailable`
 * is nobody's fault: the host is busy or the question was given up, and it may be asked again.
 */
export type SchemaVerdict =
  | { ok: true; value: JsonValue }
  | { ok: false; fault: 'value_invalid'; errors: SchemaError[] }
  | {
      ok: false;
      fault: 'schema_invalid' | 'schema_too_costly' | 'unavailable';
      detail: string;
      errors: [];
    };

export interface SchemaQuestion {
  /** Names the schema, and nothing else ever: digest of the bundle, action, side. */
  key: string;
  schema: JsonSchema;
  value: JsonValue;
  /** Whether the operator or Stepwell itself vouches for the schema: it is then run in this thread. */
  trusted: boolean;
  /** Fills in the schema's defaults, in a copy. Default false. */
  applyDefaults?: boolean;
  /** On whose account an untrusted schema is checked. Default: one account for all that say nothing. */
  tenantId?: string;
  /** Gives up an untrusted question that still waits; it is answered `unavailable`. */
  signal?: AbortSignal;
}

export interface SchemaValidatorOptions {
  /** The built thread of the untrusted lane. Default: where the build of the host puts it. */
  workerFile?: string;
  /**
   * CPU time for one compilation or one validation of an untrusted schema. Default 500: a schema of
   * 150 objects takes 150 to compile, and up to twice that where other work shares the core.
   */
  cpuMs?: number;
  /** Wall time for the same, in case the machine is busy. Default 5,000. */
  wallMs?: number;
  /** Untrusted questions of one tenant that may wait. Default 100. */
  maxWaitingPerTenant?: number;
  /** Compiled trusted schemas kept. Default 2,000. */
  maxCompiled?: number;
  /** How long a schema whose compilation was cut isn't tried again, for anyone. Default 60,000. */
  costlyPauseMs?: number;
  /**
   * How long a tenant's values aren't checked against a schema that a value of theirs was too much
   * for. Shorter: the next value may be harmless. Default 10,000.
   */
  costlyValuePauseMs?: number;
  /** Milliseconds of a clock that never goes back. */
  now?: () => number;
  /** Takes the place of the thread. */
  lane?: SchemaLane;
}

type CostlyPhase = 'compile' | 'validate';

export const DEFAULT_WORKER_FILE = fileURLToPath(
  new URL('../../../dist/sandbox-assets/schema-worker.mjs', import.meta.url),
);

/**
 * Answers whether a value fits the JSON Schema of a plugin's action. Two lanes: trusted schemas are
 * compiled once and run in this thread in microseconds; all others are compiled and run in a thread
 * that is ended when they take too long.
 */
export class SchemaValidator {
  readonly #compiled: BoundedCache<CompiledSchema | SchemaCompileError>;
  readonly #costlyUntil: BoundedCache<number>;
  readonly #lane: SchemaLane;
  readonly #pauseMs: Record<CostlyPhase, number>;
  readonly #cpuMs: number;
  readonly #now: () => number;

  constructor(options: SchemaValidatorOptions = {}) {
    const maxCompiled = options.maxCompiled ?? 2_000;
    this.#cpuMs = options.cpuMs ?? 500;
    this.#pauseMs = {
      compile: options.costlyPauseMs ?? 60_000,
      validate: options.costlyValuePauseMs ?? 10_000,
    };
    this.#now = options.now ?? (() => performance.now());
    this.#compiled = new BoundedCache(maxCompiled);
    this.#costlyUntil = new BoundedCache(maxCompiled);
    this.#lane =
      options.lane ??
      new UntrustedLane({
        workerFile: options.workerFile ?? DEFAULT_WORKER_FILE,
        cpuMs: this.#cpuMs,
        wallMs: options.wallMs ?? 5_000,
        maxWaitingPerTenant: options.maxWaitingPerTenant ?? 100,
      });
  }

  /** Trusted schemas held in this thread. */
  get compiledCount(): number {
    return this.#compiled.size;
  }

  /**
   * @returns the value, with defaults where asked for, or what is wrong: at most 50 errors
   * @throws Error only when the untrusted lane isn't built
   */
  async validate(question: SchemaQuestion): Promise<SchemaVerdict> {
    return question.trusted ? this.#validateHere(question) : this.#validateApart(question);
  }

  /** Ends the thread. Questions that still wait in it are rejected. */
  async close(): Promise<void> {
    await this.#lane.close();
  }

  #validateHere({ key, schema, value, applyDefaults }: SchemaQuestion): SchemaVerdict {
    let compiled = this.#compiled.get(key);
    if (compiled === undefined) {
      compiled = compile(schema);
      this.#compiled.set(key, compiled);
    }
    if (compiled instanceof SchemaCompileError) return schemaInvalid(compiled.message);
    return compiled.validate(value, applyDefaults ?? false);
  }

  async #validateApart(question: SchemaQuestion): Promise<SchemaVerdict> {
    const { key, tenantId = '', signal } = question;
    const progress: { phase: CostlyPhase } = { phase: 'validate' };
    try {
      return await this.#lane.run({ tenantId, ...(signal && { signal }) }, async (runTask) => {
        // Asked once it is our turn: those that waited behind a costly one needn't run at all.
        const paused = this.#pausedPhase(key, tenantId);
        return paused === null ? await ask(question, runTask, progress) : this.#tooCostly(paused);
      });
    } catch (error) {
      if (error instanceof LaneUnavailable) return unavailable(error.message);
      if (!(error instanceof TaskCut)) throw error;
      const { phase } = progress;
      this.#costlyUntil.set(pauseKey(phase, key, tenantId), this.#now() + this.#pauseMs[phase]);
      return this.#tooCostly(phase);
    }
  }

  /** Compiling depends on the schema alone, so it would be cut again; validating, on the value too. */
  #pausedPhase(key: string, tenantId: string): CostlyPhase | null {
    const isPaused = (phase: CostlyPhase): boolean =>
      (this.#costlyUntil.get(pauseKey(phase, key, tenantId)) ?? 0) > this.#now();
    if (isPaused('compile')) return 'compile';
    return isPaused('validate') ? 'validate' : null;
  }

  #tooCostly(phase: CostlyPhase): SchemaVerdict {
    const work = phase === 'compile' ? 'compiling the schema' : 'checking this value';
    return {
      ok: false,
      fault: 'schema_too_costly',
      detail: `${work} takes more than ${String(this.#cpuMs)} ms of CPU time or too much memory; simplify the schema`,
      errors: [],
    };
  }
}

function pauseKey(phase: CostlyPhase, key: string, tenantId: string): string {
  return JSON.stringify(phase === 'compile' ? [key] : [key, tenantId]);
}

/** Validates in the thread; compiles first if the thread doesn't have the schema. */
async function ask(
  question: SchemaQuestion,
  runTask: RunTask,
  progress: { phase: CostlyPhase },
): Promise<SchemaVerdict> {
  const { key, schema, value, applyDefaults = false } = question;
  const task: SchemaTask = { type: 'validate', key, value, applyDefaults };
  progress.phase = 'validate';
  let result = await runTask(task);
  if (result.type === 'unknown_key') {
    progress.phase = 'compile';
    result = await runTask({ type: 'compile', key, schema });
    if (result.type === 'schema_invalid') return schemaInvalid(result.detail);
    progress.phase = 'validate';
    result = await runTask(task);
  }
  return readResult(result, question);
}

function compile(schema: JsonSchema): CompiledSchema | SchemaCompileError {
  try {
    return new CompiledSchema(schema);
  } catch (error) {
    if (error instanceof SchemaCompileError) return error;
    throw error;
  }
}

function readResult(result: SchemaTaskResult, question: SchemaQuestion): SchemaVerdict {
  switch (result.type) {
    case 'verdict':
      return withOwnValue(result.verdict, question);
    case 'schema_invalid':
      return schemaInvalid(result.detail);
    case 'filled_too_large':
      return {
        ok: false,
        fault: 'schema_too_costly',
        detail: 'the defaults of the schema make this value too large',
        errors: [],
      };
    case 'done':
    case 'unknown_key':
      throw new Error('the schema thread lost a schema that it had just compiled');
  }
}

/** Without defaults the value is the caller's own, not a copy that came back from the thread. */
function withOwnValue(verdict: ValueVerdict, question: SchemaQuestion): SchemaVerdict {
  if (!verdict.ok || question.applyDefaults === true) return verdict;
  return { ok: true, value: question.value };
}

function schemaInvalid(detail: string): SchemaVerdict {
  return { ok: false, fault: 'schema_invalid', detail, errors: [] };
}

function unavailable(detail: string): SchemaVerdict {
  return { ok: false, fault: 'unavailable', detail, errors: [] };
}
