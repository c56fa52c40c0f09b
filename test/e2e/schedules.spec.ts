import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { advanceEngineClock } from '../support/engine-clock.js';
import { eventually } from '../support/eventually.js';
import {
  makeHome,
  removeHome,
  startHostProcess,
  type HostProcess,
} from '../support/host-process.js';

describe('a schedule', () => {
  let home: string;
  let host: HostProcess;

  beforeEach(async () => {
    home = makeHome();
    host = await startHostProcess(home);
  });

  afterEach(async () => {
    await host.stop();
    await removeHome(home);
  });

  it('for the next minute fires once, also when the host is killed and restarted in between', async () => {
    const made = await host.send('POST', '/api/plans', {
      name: 'once',
      steps: [{ provider: 'logic', action: 'transform', params: { value: '${input.n}' } }],
    });
    const planId = String(made.body.id);
    const at = new Date(Date.now() + 60_000);
    const set = await host.send('POST', `/api/plans/${planId}/schedule`, {
      at: at.toISOString(),
      input: { n: 42 },
    });
    expect([set.status, set.body.next_run_at]).toEqual([201, at.toISOString()]);
    await host.stop('SIGKILL');
    host = await startHostProcess(home);
    const runs = async () =>
      (await host.send('GET', `/api/executions?plan_id=${planId}`)).body.executions;
    expect(await runs()).toEqual([]);
    await advanceEngineClock(home, 61);
    await eventually('the end of its run', async () => (await runs())[0]?.status === 'success');
    await host.stop('SIGKILL');
    host = await startHostProcess(home);
    const { body: schedule } = await host.send('GET', `/api/plans/${planId}/schedule`);
    expect(schedule).toMatchObject({ status: 'ended', last_status: 'success', next_run_at: null });
    expect(await runs()).toMatchObject([{ trigger: 'schedule', output: 42 }]);
  });

  it('of every second fires each second once, through a kill under way', async () => {
    const made = await host.send('POST', '/api/plans', {
      name: 'each second',
      steps: [{ provider: 'logic', action: 'transform', params: { value: 1 } }],
    });
    const path = `/api/plans/${String(made.body.id)}`;
    const startsAt = Math.ceil(Date.now() / 1000) * 1000 + 2_000;
    await host.send('POST', `${path}/schedule`, {
      cron: '* * * * * *',
      starts_at: new Date(startsAt).toISOString(),
      overlap: 'allow',
      catch_up: 'all',
    });
    const listRuns = async () =>
      (await host.send('GET', `/api/executions?plan_id=${String(made.body.id)}&limit=200`)).body
        .executions as { id: string; status: string; created_at: string }[];
    await eventually('some runs', async () => (await listRuns()).length >= 2);
    await host.stop('SIGKILL');
    host = await startHostProcess(home);
    const before = (await listRuns()).length;
    await eventually('more runs', async () => (await listRuns()).length >= before + 3);
    await host.send('POST', `${path}/schedule/pause`);
    const runs = await eventually('their end', async () => {
      const all = await listRuns();
      return all.every(({ status }) => status === 'success') && all;
    });
    const { body: schedule } = await host.send('GET', `${path}/schedule`);
    const seconds = (Date.parse(schedule.last_fire.nominal_at as string) - startsAt) / 1000;
    // From the first second to the last that fired, none twice and none left out.
    expect(runs).toHaveLength(seconds + 1);
  });
});
