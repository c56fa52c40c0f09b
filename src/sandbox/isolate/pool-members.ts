import type { CountedMember } from './pool-census.js';
import type { PooledChild } from './pool-contract.js';

/** A process of the pool, from its start to its end. */
export interface Member<C> extends CountedMember {
  child: C;
  calls: number;
  startedAt: number;
  /** When its tenant got it. */
  takenAt: number;
  idleSince: number;
  firstRssBytes: number | null;
}

export type MemberState = CountedMember['state'];

/** The processes that a pool has, and which of them go first. */
export class PoolMembers<C extends PooledChild> {
  /** Processes that are on their way and no members yet. */
  starting = 0;
  private readonly members = new Set<Member<C>>();

  constructor(private readonly maxChildren: number) {}

  /** Processes that take memory, those that are starting or ending included. */
  get alive(): number {
    return this.members.size + this.starting;
  }

  /** Places that are free already, or that nobody holds for long. */
  get coming(): number {
    const soon = this.count('spare') + this.count('ending');
    return Math.max(0, this.maxChildren - this.members.size + soon);
  }

  [Symbol.iterator](): Iterator<Member<C>> {
    return this.members.values();
  }

  /** A child that has just started; no tenant has it yet. */
  add(child: C): Member<C> {
    const now = performance.now();
    const member: Member<C> = {
      child,
      state: 'spare',
      tenantId: null,
      trust: null,
      calls: 0,
      startedAt: now,
      takenAt: now,
      idleSince: now,
      firstRssBytes: null,
    };
    this.members.add(member);
    return member;
  }

  delete(member: Member<C>): void {
    this.members.delete(member);
  }

  count(state: MemberState): number {
    let count = 0;
    for (const member of this.members) if (member.state === state) count++;
    return count;
  }

  /** Processes beyond the usual number that nothing ends yet. */
  surplus(): number {
    return Math.max(0, this.alive - this.count('ending') - this.maxChildren);
  }

  /**
   * Frees places of idle children, those that have been idle longest first. It frees none if all of
   * them together would only make up for the surplus.
   */
  makeRoom(places: number, which: (member: Member<C>) => boolean, reason: string): void {
    const surplus = this.surplus();
    const isOne = (member: Member<C>): boolean => member.state === 'idle' && which(member);
    if ([...this.members].filter(isOne).length <= surplus) return;
    for (let i = 0; i < surplus + places && this.endLongestIdle(isOne, reason); i++);
  }

  /** @returns whether there was one */
  endLongestIdle(which: (member: Member<C>) => boolean, reason: string): boolean {
    let oldest: Member<C> | null = null;
    for (const member of this.members) {
      if (which(member) && (oldest === null || member.idleSince < oldest.idleSince))
        oldest = member;
    }
    if (oldest === null) return false;
    this.end(oldest, reason);
    return true;
  }

  end(member: Member<C>, reason: string): void {
    member.state = 'ending';
    member.child.kill(reason);
  }
}
