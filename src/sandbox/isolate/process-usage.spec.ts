import { describe, expect, it } from '@jest/globals';

import { parseProcStat, parsePsLine, usageReader } from './process-usage.js';

describe('process usage', () => {
  it('reads a stat line whose name is out to confuse', () => {
    const fields = Array.from({ length: 50 }, (_, i) => String(i + 3));
    fields[11] = '120';
    fields[12] = '30';
    fields[21] = '1000';
    const stat = `42 (a) b ) c) ${fields.join(' ')}`;
    expect(parseProcStat(stat, 4096)).toEqual({ cpuMs: 1500, rssBytes: 4_096_000 });
    expect(parseProcStat('', 4096)).toBeNull();
  });

  it.each([
    [' 51200   0:01.50', { cpuMs: 1500, rssBytes: 52_428_800 }],
    ['1024 01:02:03', { cpuMs: 3_723_000, rssBytes: 1_048_576 }],
    ['1024 2-00:00:01', { cpuMs: 172_801_000, rssBytes: 1_048_576 }],
    ['', null],
    ['rss time', null],
  ])('reads ps: %j', (line, expected) => {
    expect(parsePsLine(line)).toEqual(expected);
  });

  it.each(['linux', 'darwin'] as const)(
    'sees this very process, the way of %s',
    async (platform) => {
      const usage = await usageReader(platform).read(process.pid);
      if (usage === null) throw new Error('this process can not be read');
      const { user, system } = process.cpuUsage();
      expect(usage.rssBytes / process.memoryUsage.rss()).toBeGreaterThan(0.5);
      expect(usage.rssBytes / process.memoryUsage.rss()).toBeLessThan(2);
      expect(Math.abs(usage.cpuMs - (user + system) / 1000)).toBeLessThan(1100);
    },
  );

  it('says nothing of a process that is gone', async () => {
    expect(await usageReader().read(2 ** 22 + 1)).toBeNull();
  });
});
