import { describe, expect, it } from '@jest/globals';
import { QueryFailedError } from 'typeorm';

import { describeError } from './logger.js';

describe('an error in the log', () => {
  it('tells what failed, and nothing of what it was about', () => {
    const driverError = Object.assign(new Error('disk full'), {
      code: '53100',
      detail: 'Failing row contains (canary).',
      where: "COPY t, line 1: 'canary'",
    });
    const text = JSON.stringify(
      describeError(new QueryFailedError('insert into t values ($1)', ['canary'], driverError)),
    );
    expect(text).toContain('disk full');
    expect(text).toContain('53100');
    expect(text).toContain('insert into t');
    expect(text).not.toContain('canary');
  });

  it('leaves what is no error as it is', () => {
    expect(describeError('text')).toBe('text');
  });
});
