import { repeat } from '../measure.mjs';

/**
 * From the spawn of a host to its first answer, with its PostgreSQL and all, on the home that the groups before
 * have used.
 */
export async function measure(bench) {
  await bench.host();
  const home = await bench.stopSharedHost();
  const start = async () => {
    const host = await bench.startHost(home);
    await bench.stopHost(host);
    return { ready_ms: host.readyMs };
  };
  const { starts } = bench.options;
  return [
    {
      name: `from the spawn to the first answer, starts: ${starts}`,
      figures: await repeat(starts, start),
      aims: [{ figure: 'ready_ms', atMost: 2_500 }],
    },
  ];
}
