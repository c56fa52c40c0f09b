import { setTimeout as delay } from 'node:timers/promises';

import { repeat, runLoad } from '../measure.mjs';
import { openPlan, w2 } from '../plans.mjs';
import { readMemory, readProcesses, treeOf } from '../processes/procfs.mjs';

/** What a host takes of memory while it has nothing to do, and after many runs of W2. */
export async function measure(bench) {
  const { idleSeconds, runsForMemory: count } = bench.options;
  const host = await bench.host();
  await delay(idleSeconds * 1_000);
  const rows = [
    {
      name: `${idleSeconds} s after the start`,
      figures: await repeat(1, () => memoryOf(host)),
      aims: [{ figure: 'pss_mb', atMost: 250 }],
    },
  ];
  const requests = await openPlan(host.api, w2(bench.target.url), 'last_step');
  const { errors } = await runLoad(bench, host, { requests, connections: 10, count });
  const busy = await repeat(1, () => ({ ...memoryOf(host), errors }));
  rows.push({ name: `at the end of ${count} runs`, figures: busy });
  await delay(idleSeconds * 1_000);
  rows.push({
    name: `${idleSeconds} s later`,
    figures: await repeat(1, () => memoryOf(host)),
  });
  return rows;
}

/** Of the host and its sandbox children together, and of each kind apart. */
function memoryOf({ pid, postmasterPid }) {
  const processes = readProcesses();
  const [host, ...children] = treeOf(pid, processes, postmasterPid);
  const all = readMemory([host, ...children]);
  return {
    rss_mb: all.rssMb,
    pss_mb: all.pssMb,
    host_pss_mb: readMemory([host]).pssMb,
    children_pss_mb: readMemory(children)?.pssMb ?? 0,
    children: children.length,
    postgres_pss_mb: readMemory(treeOf(postmasterPid, processes))?.pssMb ?? null,
  };
}
