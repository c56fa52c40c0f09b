import { describe, expect, it } from '@jest/globals';

import type { WebhookFacts } from './sql/resolve-webhooks.js';
import { WebhookLookups } from './webhook-lookups.js';

interface Query {
  paths: readonly string[];
  answer: PromiseWithResolvers<Map<string, WebhookFacts>>;
}

function factsOf(path: string): WebhookFacts {
  return {
    id: `id of ${path}`,
    path,
    respond: 'ack',
    tenant: { id: 't', name: 't' },
    owner: { id: 'u', externalId: 'u', role: 'user', isOperator: false, isDisabled: false },
    plan: { id: 'p', ownerId: 'u', visibility: 'private', isDeleted: false },
    version: { number: 1, authorId: 'u', authorIsAdmin: false },
    enabledVersion: 1,
  };
}

describe('look-ups of webhooks', () => {
  const make = (): { lookups: WebhookLookups; queries: Query[] } => {
    const queries: Query[] = [];
    const lookups = new WebhookLookups((paths) => {
      const answer = Promise.withResolvers<Map<string, WebhookFacts>>();
      queries.push({ paths, answer });
      return answer.promise;
    });
    return { lookups, queries };
  };
  const settle = (query: Query | undefined, paths = query?.paths ?? []): void => {
    query?.answer.resolve(new Map(paths.map((path) => [path, factsOf(path)])));
  };

  it('that come while a query is under way share the next, and none is asked twice', async () => {
    const { lookups, queries } = make();
    const first = lookups.find('a');
    const later = ['b', 'c', 'b', 'a'].map((path) => lookups.find(path));
    expect(queries.map(({ paths }) => paths)).toEqual([['a']]);
    settle(queries[0]);
    expect((await first)?.id).toBe('id of a');
    expect(queries.map(({ paths }) => paths)).toEqual([['a'], ['b', 'c', 'a']]);
    settle(queries[1]);
    expect((await Promise.all(later)).map((one) => one?.path)).toEqual(['b', 'c', 'b', 'a']);
    const alone = lookups.find('d');
    expect(queries).toHaveLength(3);
    settle(queries[2]);
    await alone;
  });

  it('are answered by a query that began after they came', async () => {
    const { lookups, queries } = make();
    const before = lookups.find('a');
    const after = lookups.find('a');
    settle(queries[0]);
    expect(await before).not.toBeNull();
    settle(queries[1], []); // deleted meanwhile
    expect(await after).toBeNull();
  });

  it('fail with their own query, and the next goes on', async () => {
    const { lookups, queries } = make();
    const first = lookups.find('a');
    const second = lookups.find('b');
    queries[0]?.answer.reject(new Error('gone'));
    await expect(first).rejects.toThrow('gone');
    settle(queries[1]);
    expect((await second)?.path).toBe('b');
  });
});
