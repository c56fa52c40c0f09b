import { setTimeout as delay } from 'node:timers/promises';

import { repeat } from '../../measure.mjs';
import { readMemory, readProcesses, treeOf } from '../../processes/procfs.mjs';
import { openFill } from '../fill.mjs';

const PLAN = {
  name: 'first',
  steps: [{ id: 'shape', provider: 'logic', action: 'transform', params: { value: { n: 1 } } }],
};

/** Nobody asks for anything: of an empty host, then with many tenants, of which each has a plan and a schedule. */
export async function* measure(bench, host) {
  const { tenants, idleSeconds } = bench.options;
  await using fill = await openFill(host);
  const rest = () => repeat(1, () => measureRest({ bench, host, fill, seconds: idleSeconds }));
  await delay(2_000);
  yield { name: 'nothing stored', figures: await rest() };
  const plan = await host.api.send('POST', '/api/plans', PLAN);
  const owners = await fill.addTenants(tenants);
  await fill.addPlans(plan, owners, 1);
  await fill.addSchedules(owners);
  await fill.client.query('vacuum analyze');
  await delay(2_000);
  yield { name: `${tenants} tenants, plans and schedules`, figures: await rest() };
}

async function measureRest({ bench, host, fill, seconds }) {
  const before = await fill.activity();
  const { cpuMs } = await bench.meterOf(host).during(() => delay(seconds * 1_000));
  const after = await fill.activity();
  const processes = readProcesses();
  const [self, ...children] = treeOf(host.pid, processes, host.postmasterPid);
  const memory = {
    host: readMemory([self]),
    children: readMemory(children),
    postgres: readMemory(treeOf(host.postmasterPid, processes)),
  };
  return {
    transactions_per_s: (after.transactions - before.transactions) / seconds,
    rows_read_per_s: (after.rows_read - before.rows_read) / seconds,
    wal_bytes_per_s: (after.wal - before.wal) / seconds,
    connections: after.connections,
    host_cpu_ms_per_s: cpuMs.host / seconds,
    postgres_cpu_ms_per_s: cpuMs.postgres / seconds,
    host_pss_mb: memory.host?.pssMb ?? null,
    children_pss_mb: memory.children?.pssMb ?? null,
    postgres_pss_mb: memory.postgres?.pssMb ?? null,
  };
}
