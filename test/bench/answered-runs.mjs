import { repeat, runLoad, WIDE } from './measure.mjs';
import { openPlan } from './plans.mjs';

/** The rate of the open loop: this share of the most that the closed one reached. */
const STEADY_SHARE = 0.5;

/** A plan whose webhook answers with what its last step gave, at each number of connections. */
export async function measureAnswered(bench, { plan, aims }) {
  const { options } = bench;
  const host = await bench.host();
  const requests = await openPlan(host.api, plan, 'last_step');
  await bench.target.reset();
  const measureAt = (connections, more) =>
    runLoad(bench, host, { requests, connections, seconds: options.seconds, ...more });
  await measureAt(10, { seconds: options.warmUpSeconds });
  const rows = [];
  for (const connections of options.connections) {
    const figures = await repeat(options.repetitions, () => measureAt(connections));
    rows.push({
      name: `${plan.name}, ${connections} at once`,
      figures,
      aims: connections === WIDE ? aims : [],
    });
  }
  const perSecond =
    STEADY_SHARE * Math.max(...rows.map(({ figures }) => figures.runs_per_s.median));
  rows.push({
    name: `${plan.name}, at half of the best rate, whatever answers take`,
    figures: await repeat(options.repetitions, () => measureAt(WIDE, { perSecond })),
  });
  const { strays } = await bench.target.count();
  if (strays > 0) throw new Error(`${strays} requests of ${plan.name} went to a wrong URL`);
  return rows;
}
