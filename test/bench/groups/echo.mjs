import { join } from 'node:path';

import { complainOf, repeat } from '../measure.mjs';
import { Forked } from '../processes/forked.mjs';
import { readProcess } from '../processes/procfs.mjs';

/** A small JSON body, there and back. */
export async function measure(bench) {
  const { options } = bench;
  const echo = new Forked(join(import.meta.dirname, '..', 'echo', 'echo-process.mjs'));
  try {
    const url = await echo.ask({ kind: 'url' });
    const body = JSON.stringify({ name: 'Ada', n: 1 });
    const requests = [{ path: '/echo', body, expects: { status: 200, includes: body } }];
    const measureAt = async (connections, seconds) => {
      const before = readProcess(echo.pid).ownMs;
      const result = await bench.load.run({ url, requests, connections, seconds });
      complainOf(result);
      return {
        requests_per_s: result.done / (result.tookMs / 1_000),
        p50_ms: result.p50,
        p99_ms: result.p99,
        errors: result.errors,
        cpu_ms: (readProcess(echo.pid).ownMs - before) / result.done,
      };
    };
    await measureAt(10, options.warmUpSeconds);
    const rows = [];
    for (const connections of options.connections) {
      const figures = await repeat(options.repetitions, () =>
        measureAt(connections, options.seconds),
      );
      rows.push({ name: `echo, ${connections} at once`, figures });
    }
    return rows;
  } finally {
    await echo.close();
  }
}
