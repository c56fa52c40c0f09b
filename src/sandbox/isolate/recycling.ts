import type { RecycleLimits } from './isolate-options.js';
import type { PooledChild } from './pool-contract.js';
import type { Member } from './pool-members.js';

/** Says when a child has served enough: by calls, by age, or by what its memory has grown. */
export class Recycling<C extends PooledChild> {
  constructor(
    private readonly limits: RecycleLimits,
    private readonly rssBytes: (child: C) => Promise<number | null> | number | null,
  ) {}

  hasServedEnough({ calls, startedAt, trust }: Member<C>): boolean {
    const { limits } = this;
    const most = trust === 'third_party' ? limits.calls : limits.trustedCalls;
    return calls >= most || performance.now() - startedAt >= limits.ageMs;
  }

  /** Looks once in so many calls: a look costs more than a call gains. */
  async hasGrown(member: Member<C>): Promise<boolean> {
    if (member.calls % CHECK_EVERY_CALLS !== 0) return false;
    const rss = await this.rssBytes(member.child);
    if (rss === null) return false;
    member.firstRssBytes ??= rss;
    return (rss - member.firstRssBytes) / 2 ** 20 >= this.limits.rssGrowthMb;
  }
}

const CHECK_EVERY_CALLS = 50;
