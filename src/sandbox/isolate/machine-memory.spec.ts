import { describe, expect, it } from '@jest/globals';

import { missingMemory, readMachineMemory, type MachineMemory } from './machine-memory.js';

const MB = 2 ** 20;
const GB = 2 ** 30;
const MEMINFO = 'MemTotal:       16777216 kB\nMemFree:  1 kB\nMemAvailable:   8388608 kB\n';

function memoryOf(files: Record<string, string>): MachineMemory {
  return readMachineMemory((path) => files[path] ?? null, 16 * GB);
}

describe('readMachineMemory', () => {
  it('knows the machine without any group, and nothing where there is no /proc', () => {
    expect(memoryOf({ '/proc/meminfo': MEMINFO })).toEqual({
      limitBytes: 16 * GB,
      availableBytes: 8 * GB,
    });
    expect(memoryOf({})).toEqual({ limitBytes: 16 * GB, availableBytes: null });
  });

  it('takes the tightest group of v2, and counts cached files as available', () => {
    const files = {
      '/proc/meminfo': MEMINFO,
      '/proc/self/cgroup': '0::/app/host\n',
      '/sys/fs/cgroup/app/host/memory.max': 'max\n',
      '/sys/fs/cgroup/app/host/memory.current': '1\n',
      '/sys/fs/cgroup/app/memory.max': `${String(2 * GB)}\n`,
      '/sys/fs/cgroup/app/memory.current': `${String(1.5 * GB)}\n`,
      '/sys/fs/cgroup/app/memory.stat': `anon 5\nactive_file 7\ninactive_file ${String(GB)}\n`,
    };
    expect(memoryOf(files)).toEqual({ limitBytes: 2 * GB, availableBytes: 1.5 * GB });
  });

  it("finds a container's group of v1 at the root of the mount, whatever its path outside", () => {
    const files = {
      '/proc/meminfo': MEMINFO,
      '/proc/self/cgroup': '4:memory:/docker/abc\n3:cpuset,cpu:/docker/abc\n0::/\n',
      '/sys/fs/cgroup/memory/memory.limit_in_bytes': String(GB),
      '/sys/fs/cgroup/memory/memory.usage_in_bytes': String(GB - 100 * MB),
      '/sys/fs/cgroup/memory/memory.stat': `inactive_file 1\ntotal_inactive_file ${String(60 * MB)}\n`,
    };
    expect(memoryOf(files)).toEqual({ limitBytes: GB, availableBytes: 160 * MB });
  });

  it('takes a limit beyond all memory for none', () => {
    const files = {
      '/proc/meminfo': MEMINFO,
      '/proc/self/cgroup': '4:memory:/\n',
      '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712',
      '/sys/fs/cgroup/memory/memory.usage_in_bytes': '5',
    };
    expect(memoryOf(files)).toEqual({ limitBytes: 16 * GB, availableBytes: 8 * GB });
  });
});

describe('missingMemory', () => {
  it('keeps a tenth free, at most half a gigabyte, and asks nothing of the unknown', () => {
    expect(missingMemory({ limitBytes: GB, availableBytes: 200 * MB })).toBe(0);
    expect(missingMemory({ limitBytes: 1000 * MB, availableBytes: 70 * MB })).toBe(30 * MB);
    expect(missingMemory({ limitBytes: 64 * GB, availableBytes: 500 * MB })).toBe(12 * MB);
    expect(missingMemory({ limitBytes: GB, availableBytes: null })).toBe(0);
  });
});
