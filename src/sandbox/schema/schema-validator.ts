import { fileURLToPath } from 'node:url';

import type { JsonSchema, JsonValue } from '../../common/json.js';
import { BoundedCache } from '../../common/bounded-cache.js';
import { CompiledSchema, SchemaCompileError } from './compile-schema.js';
import type { ValueVerdict } from './compile-schema.js';
import type { SchemaError } from './schema-errors.js';
import { TaskCut, UntrustedLane } from './untrusted-lane.js';
import type { SchemaLane } from './untrusted-lane.js';
import type { SchemaTaskResult } from './worker.js';

/**
 * `value_invalid` is the fault of whoever made the value; `schema_invalid` and `schema_too_costly`
 * are the fault of the plugin whose schema it is, and nothing is known about the value.
 */
export type SchemaVerdict =
  | { ok: true; value: JsonValue }
  | { ok: false; fault: 'value_invalid'; errors: SchemaError[] }
  | { ok: false; fault: 'schema_invalid' | 'schema_too_costly'; detail: string; errors: [] };

export interface SchemaQuestion {
  /** Names the schema, and nothing else ever: digest of the bundle, action, side. */
  key: string;
  schema: JsonSchema;
  value: JsonValue;
  /** Whether the operator or Stepwell itself vouches for the schema: it is then run in this thread. */
  trusted: boolean;
  /** Fills in the schema's defaults, in a copy. Default false. */
  applyDefaults?: boolean;
}

export interface SchemaValidatorOptions {
  /** The built thread of the untrusted lane. Default: where the build of the host puts it. */
  workerFile?: string;
  /** For one compilation or one validation of an untrusted schema. Default 250. */
  deadlineMs?: number;
  /** Compiled trusted schemas kept. Default 2,000. */
  maxCompiled?: number;
  /** How long a schema whose compilation was cut isn't tried again. Default 60,000. */
  costlyPauseMs?: number;
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
  readonly #costlyPauseMs: number;
  readonly #deadlineMs: number;
  readonly #now: () => number;

  constructor(options: SchemaValidatorOptions = {}) {
    const maxCompiled = options.maxCompiled ?? 2_000;
    this.#deadlineMs = options.deadlineMs ?? 250;
    this.#costlyPauseMs = options.costlyPauseMs ?? 60_000;
    this.#now = options.now ?? (() => performance.now());
    this.#compiled = new BoundedCache(maxCompiled);
    this.#costlyUntil = new BoundedCache(maxCompiled);
    this.#lane =
      options.lane ??
      new UntrustedLane({
        workerFile: options.workerFile ?? DEFAULT_WORKER_FILE,
        deadlineMs: this.#deadlineMs,
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
    const { key, schema, value } = question;
    if ((this.#costlyUntil.get(key) ?? 0) > this.#now()) return this.#tooCostly('compile');
    const task = {
      type: 'validate',
      key,
      value,
      applyDefaults: question.applyDefaults ?? false,
    } as const;
    const progress: { phase: CostlyPhase } = { phase: 'validate' };
    try {
      return await this.#lane.run(async (runTask) => {
        let result = await runTask(task);
        if (result.type === 'unknown_key') {
          progress.phase = 'compile';
          result = await runTask({ type: 'compile', key, schema });
          if (result.type === 'schema_invalid') return schemaInvalid(result.detail);
          progress.phase = 'validate';
          result = await runTask(task);
        }
        return readResult(result, question);
      });
    } catch (error) {
      if (!(error instanceof TaskCut)) throw error;
      // Compiling depends on the schema alone, so it would be cut again; validating may not be.
      if (progress.phase === 'compile')
        this.#costlyUntil.set(key, this.#now() + this.#costlyPauseMs);
      return this.#tooCostly(progress.phase);
    }
  }

  #tooCostly(phase: CostlyPhase): SchemaVerdict {
    const work = phase === 'compile' ? 'compiling the schema' : 'checking this value';
    return {
      ok: false,
      fault: 'schema_too_costly',
      detail: `${work} takes longer than ${String(this.#deadlineMs)} ms or too much memory; simplify the schema`,
      errors: [],
    };
  }
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
