/** Items of the wide plan's list. */
export const ITEMS = 20;

/**
 * What the load runs. The paths of requests say method, execution, step and item, which is what the provider counts by.
 * Makes them, and returns their ids by name.
 */
export async function createPlans(api, providerUrl) {
  const request = (id, method, more = {}) => {
    const item = more.for_each ? '/${index}' : '';
    return {
      id,
      provider: 'http',
      action: 'request',
      params: {
        method,
        url: `${providerUrl}/${method}/\${execution.id}/${id}${item}`,
        ...(method === 'POST' ? { body: { n: 1 } } : {}),
      },
      ...more,
    };
  };
  const plans = {
    /** Writes twice side by side, and once more. */
    plain: [
      request('look', 'GET'),
      request('first', 'POST'),
      request('again', 'GET', { depends_on: ['first'] }),
      request('beside', 'POST', { depends_on: ['look'] }),
      request('last', 'POST', { depends_on: ['again', 'beside'] }),
    ],
    /** An item whose outcome nobody knows must not end the others. */
    wide: [
      request('look', 'GET'),
      request('each', 'POST', {
        for_each: {
          items: Array.from({ length: ITEMS }, (_, n) => n),
          concurrency: 5,
          on_error: 'continue',
        },
      }),
      request('last', 'POST'),
    ],
    small: [request('only', 'POST')],
    /** Sends the link of a wait out, rests until that is answered and for a while more, and runs a plan. */
    waiting: [
      {
        ...request('tell', 'GET'),
        params: {
          method: 'GET',
          url: `${providerUrl}/GET/\${execution.id}/tell?link=\${waits.hold.url}`,
        },
      },
      { id: 'hold', provider: 'wait', action: 'callback', params: {} },
      { id: 'rest', provider: 'wait', action: 'delay', params: { seconds: 2 } },
      { id: 'sub', provider: 'plan', action: 'run', params: {} },
      request('last', 'POST'),
    ],
    /** A key has to lie in V8's heap in one piece: the allocation that fails takes the child along. */
    poison: [
      {
        id: 'poison',
        provider: 'code',
        action: 'javascript',
        params: { source: `for (let key = 'x'; ; key += key) JSON.parse('{"' + key + '":1}');` },
      },
    ],
    // A plan has one schedule.
    everySecond: [request('only', 'POST')],
    byCron: [request('only', 'POST')],
  };
  const ids = {};
  for (const [name, steps] of Object.entries(plans)) {
    // A plan that is run by another has to be there first.
    if (name === 'waiting') steps.find(({ id }) => id === 'sub').params.plan_id = ids.small;
    const { body } = await api.send('POST', '/api/plans', { body: { name, steps } });
    ids[name] = body.id;
  }
  return ids;
}

/** @returns the path at which a plan is begun without waiting for its end */
export async function createWebhook(api, planId) {
  const path = `/api/plans/${planId}/webhooks`;
  const { body } = await api.send('POST', path, { body: { respond: 'ack' } });
  return new URL(body.url).pathname;
}
