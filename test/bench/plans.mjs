/** Different requests, so that nothing can be remembered from one to the next. */
const VARIANTS = 16;

/** The steps that workloads are made of. */
export const STEPS = {
  shape: {
    id: 'shape',
    provider: 'logic',
    action: 'transform',
    params: { value: { name: '${trigger.body.name}', n: '${trigger.body.n}' } },
  },
  /** Gives the path of an odd number: see target-process.mjs. */
  compute: {
    id: 'compute',
    provider: 'code',
    action: 'javascript',
    params: {
      source: 'return { path: "n/" + (input.n * 2 + 1) }',
      input: '${steps.shape.output}',
    },
  },
  fetch: (url) => ({
    id: 'fetch',
    provider: 'http',
    action: 'request',
    params: { url: `${url}/\${steps.compute.output.path}` },
  }),
};

/** One step, then the answer. */
export const W1 = { name: 'W1', steps: [STEPS.shape], includes: '"name":"Ada ' };

/** Three steps: data, code in an isolate, a request. */
export const w2 = (url) => ({
  name: 'W2',
  steps: [STEPS.shape, STEPS.compute, STEPS.fetch(url)],
  includes: '"ok":true',
});

/**
 * Saves a plan with a webhook.
 * @param respond `last_step`, or `ack` at once
 * @returns the requests that start it, for the load generator
 */
export async function openPlan(api, { name, steps, includes = '' }, respond) {
  const plan = await api.send('POST', '/api/plans', { name, steps });
  const { url } = await api.send('POST', `/api/plans/${plan.id}/webhooks`, { respond });
  return Array.from({ length: VARIANTS }, (_, n) => ({
    path: new URL(url).pathname,
    body: JSON.stringify({ name: `Ada ${n}`, n }),
    expects: respond === 'ack' ? { status: 202 } : { status: 200, includes },
  }));
}
