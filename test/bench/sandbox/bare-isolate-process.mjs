/** What V8 itself takes for what a sandbox step does at its core; in a process of its own, with the flag that it needs. */
import ivm from 'isolated-vm';

import { quantilesOf } from '../statistics.mjs';

const SOURCE = 'JSON.stringify({ output: (() => 1)() })';

process.on('disconnect', () => process.exit(0));
process.on('message', ({ id, job: { calls, warmUp } }) => {
  measure({ calls, warmUp }).then(
    (result) => process.send({ id, result }),
    (error) => process.send({ id, error: error.message }),
  );
});

async function measure({ calls, warmUp }) {
  const warm = new ivm.Isolate({ memoryLimit: 64 });
  const runIn = async (isolate) => {
    const context = await isolate.createContext();
    const script = await isolate.compileScript(SOURCE);
    await script.run(context, { timeout: 500 });
    context.release();
  };
  const ways = {
    isolate: async () => {
      const isolate = new ivm.Isolate({ memoryLimit: 64 });
      await runIn(isolate);
      isolate.dispose();
    },
    context: () => runIn(warm),
  };
  const measured = {};
  for (const [name, call] of Object.entries(ways)) {
    const times = [];
    for (let n = 0; n < warmUp + calls; n++) {
      const begin = performance.now();
      await call();
      if (n >= warmUp) times.push(performance.now() - begin);
    }
    measured[name] = quantilesOf(times);
  }
  return measured;
}
