import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface ProcessUsage {
  cpuMs: number;
  rssBytes: number;
}

/** Reads what a process has used so far, from outside of it. */
export interface UsageReader {
  /** How often reading is cheap enough, milliseconds. */
  readonly everyMs: number;
  /** Null when the process is gone or can't be read. */
  read(pid: number): ProcessUsage | null | Promise<ProcessUsage | null>;
}

/** /proc on Linux (15 µs a reading), `ps` elsewhere. */
export function usageReader(platform: NodeJS.Platform = process.platform): UsageReader {
  return platform === 'linux' ? procReader() : psReader();
}

/** Parses `/proc/<pid>/stat` (proc_pid_stat(5)); the name in parentheses may hold anything. */
export function parseProcStat(stat: string, pageBytes: number): ProcessUsage | null {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // utime, stime and rss are fields 14, 15 and 24; the first two have been cut off.
  const [utime, stime, pages] = [fields[11], fields[12], fields[21]].map(Number);
  if (utime === undefined || stime === undefined || !Number.isFinite(pages)) return null;
  return { cpuMs: (utime + stime) * TICK_MS, rssBytes: Number(pages) * pageBytes };
}

/** Parses a line of `ps -o rss=,time=`: kilobytes and `[[days-]hours:]minutes:seconds[.hundredths]`. */
export function parsePsLine(line: string): ProcessUsage | null {
  const match = /^\s*(\d+)\s+(?:(?:(\d+)-)?(\d+):)?(\d+):(\d+(?:\.\d+)?)\s*$/.exec(line);
  if (match === null) return null;
  const [, rssKb, days = 0, hours = 0, minutes, seconds] = match;
  const cpuSeconds =
    ((Number(days) * 24 + Number(hours)) * 60 + Number(minutes)) * 60 + Number(seconds);
  return { cpuMs: cpuSeconds * 1000, rssBytes: Number(rssKb) * 1024 };
}

/** USER_HZ is 100 on every Linux that Node runs on. */
const TICK_MS = 10;

function procReader(): UsageReader {
  const pageBytes = measurePageBytes();
  return {
    everyMs: 20,
    read(pid) {
      try {
        return parseProcStat(readFileSync(`/proc/${String(pid)}/stat`, 'latin1'), pageBytes);
      } catch {
        return null; // It has ended between two looks.
      }
    },
  };
}

/** Some kernels have pages of 16 or 64 KB: our own memory, known in bytes, tells. */
function measurePageBytes(): number {
  const own = parseProcStat(readFileSync('/proc/self/stat', 'latin1'), 1);
  const ratio = process.memoryUsage.rss() / (own?.rssBytes ?? 1);
  return 2 ** Math.round(Math.log2(ratio));
}

function psReader(): UsageReader {
  return {
    everyMs: 250,
    read: (pid) =>
      new Promise((resolve) => {
        execFile('ps', ['-o', 'rss=,time=', '-p', String(pid)], (error, stdout) => {
          resolve(error === null ? parsePsLine(stdout) : null);
        });
      }),
  };
}
