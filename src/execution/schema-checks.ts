import { Injectable } from '@nestjs/common';

import { systemClock } from '../common/clock.js';
import {
  SchemaValidator,
  type SchemaQuestion,
  type SchemaVerdict,
} from '../sandbox/schema/schema-validator.js';

const MAX_TRIES = 5;
const PAUSE_MS = 200;

/** Holds inputs and outputs of steps against the schemas of their actions. */
@Injectable()
export class SchemaChecks {
  constructor(private readonly validator: SchemaValidator) {}

  /** Asks a few times when the thread for untrusted schemas has no time. */
  async check(question: SchemaQuestion): Promise<SchemaVerdict> {
    for (let tries = 1; ; tries++) {
      const verdict = await this.validator.validate(question);
      const isBusy = !verdict.ok && verdict.fault === 'unavailable';
      if (!isBusy || tries >= MAX_TRIES || question.signal?.aborted === true) return verdict;
      await systemClock.sleep(PAUSE_MS * tries, question.signal);
    }
  }
}

/** What is wrong, in one line for people. */
export function describeFault(verdict: Extract<SchemaVerdict, { ok: false }>): string {
  if (verdict.fault !== 'value_invalid') return verdict.detail;
  return verdict.errors
    .slice(0, 3)
    .map(({ pointer, detail }) => `${pointer || 'it'} ${detail}`)
    .join('; ');
}
