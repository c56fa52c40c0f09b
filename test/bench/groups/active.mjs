import { withClient } from '../database/versions.mjs';
import { waitForEnd } from '../background-runs.mjs';
import { complainOf, repeat } from '../measure.mjs';
import { openPlan } from '../plans.mjs';
import { readMemory, readProcesses, treeOf } from '../processes/procfs.mjs';
import { eachOf, openTenants, OUTSIDER, packOutsider } from '../tenants.mjs';

/** A tenant has at most so many connections to one place. */
const RUNS_PER_TENANT = 32;

/** Executions that all wait in a call to a slow server at the same time; the call is data, so none holds a child. */
export async function measure(bench) {
  const { active } = bench.options;
  const host = await bench.startHost('tenants', {
    env: {
      STEPWELL_PLUGINS: packOutsider(bench),
      STEPWELL_MAX_RUNNING_EXECUTIONS: String(Math.ceil(active * 1.2)),
    },
  });
  const count = Math.ceil(active / RUNS_PER_TENANT);
  const tenants = await openTenants(host.api, { name: 'active', count });
  const url = `${bench.target.url}/hold`;
  const params = { base_url: url, city: 'Oslo' };
  const steps = [{ provider: OUTSIDER, action: 'current', params }];
  const plans = await eachOf(tenants, (api) => openPlan(api, { name: 'slow call', steps }, 'ack'));
  const requests = plans.map(([first]) => first);
  const figures = await repeat(1, () => hold(bench, host, { requests, count: active }));
  await bench.stopHost(host);
  return [
    {
      name: `${active} executions at once in a slow call`,
      figures,
      aims: [
        { figure: 'active', atLeast: active },
        { figure: 'errors', atMost: 0 },
      ],
    },
  ];
}

async function hold(bench, host, { requests, count }) {
  await bench.target.reset();
  const idle = memoryOf(host);
  const begin = performance.now();
  const load = await bench.load.run({ url: host.url, requests, connections: 50, count });
  complainOf(load);
  await bench.target.reaches({ held: count });
  const allHeldMs = performance.now() - begin;
  const { held } = await bench.target.count();
  const busy = memoryOf(host);
  await bench.target.release();
  const { failed } = await withClient(host.databaseUrl, (client) =>
    waitForEnd(client, load.beganAt),
  );
  return {
    active: held,
    all_active_ms: allHeldMs,
    rss_mb: busy.rssMb,
    pss_mb: busy.pssMb,
    pss_mb_before: idle.pssMb,
    errors: load.errors + failed,
  };
}

/** Of the host and its children. */
function memoryOf({ pid, postmasterPid }) {
  return readMemory(treeOf(pid, readProcesses(), postmasterPid));
}
