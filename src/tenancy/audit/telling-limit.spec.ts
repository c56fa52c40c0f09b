import { expect, it } from '@jest/globals';

import { systemClock } from '../../common/clock.js';
import { TellingLimit } from './telling-limit.js';

it('tells so many a minute of each, and then how many it kept to itself', () => {
  let nowMs = 5_000;
  const limit = new TellingLimit(2, { ...systemClock, monotonic: () => nowMs });
  const ask = (name: string, times: number): unknown[] =>
    Array.from({ length: times }, () => limit.take(name));

  expect(ask('a', 5)).toEqual([{ untold: 0 }, { untold: 0 }, null, null, null]);
  expect(ask('b', 1)).toEqual([{ untold: 0 }]);
  nowMs += 59_999;
  expect(ask('a', 1)).toEqual([null]);
  nowMs += 1;
  expect(ask('a', 3)).toEqual([{ untold: 4 }, { untold: 0 }, null]);
  expect(ask('b', 2)).toEqual([{ untold: 0 }, { untold: 0 }]);
});
