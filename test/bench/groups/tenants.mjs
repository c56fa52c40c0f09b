import { repeat, runLoad, WIDE } from '../measure.mjs';
import { openPlan, STEPS, W1 } from '../plans.mjs';
import { eachOf, openTenants, OUTSIDER, packOutsider } from '../tenants.mjs';

/**
 * Many tenants in turns, by whose code runs: with no more requests under way than a host walks runs, and with
 * one of each tenant all the time, so that most have to queue. The first request of each tenant is told
 * apart: the host has no warm child for it.
 */
export async function measure(bench) {
  const { options } = bench;
  const host = await bench.startHost('tenants', { env: { STEPWELL_PLUGINS: packOutsider(bench) } });
  const tenants = await openTenants(host.api, { name: 'bench', count: options.tenants });
  const rows = [];
  for (const plan of plansOf(bench.target.url)) {
    bench.tell(`${tenants.length} tenants: ${plan.name}`);
    const opened = await eachOf(tenants, (api) => openPlan(api, plan, 'last_step'));
    const requests = opened.map(([first]) => first);
    const count = tenants.length;
    const first = await runLoad(bench, host, { requests, connections: count, count });
    rows.push({
      name: `${plan.name}: first request of each`,
      figures: await repeat(1, () => first),
    });
    for (const connections of [WIDE, count]) {
      const figures = await repeat(options.repetitions, () =>
        runLoad(bench, host, { requests, connections, seconds: options.seconds }),
      );
      rows.push({ name: `${plan.name}: ${count} tenants, ${connections} at once`, figures });
    }
  }
  await bench.stopHost(host);
  return rows;
}

function plansOf(url) {
  const { id, provider, action, params } = STEPS.compute;
  return [
    { ...W1, name: 'data (logic.transform)' },
    {
      name: 'what comes with the host (http.request)',
      steps: [{ provider: 'http', action: 'request', params: { url: `${url}/n/1` } }],
      includes: '"ok":true',
    },
    {
      name: "the tenant's own code (code.javascript)",
      steps: [{ id, provider, action, params: { ...params, input: { n: 1 } } }],
      includes: '"n/3"',
    },
    {
      name: `code of an outsider (${OUTSIDER}.forecast)`,
      steps: [{ provider: OUTSIDER, action: 'forecast', params: { base_url: url, city: 'Oslo' } }],
      includes: '"mean_celsius":20',
    },
  ];
}
