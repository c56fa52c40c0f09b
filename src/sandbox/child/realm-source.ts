import type { CallMessage } from '../protocol/messages.js';
import type { FreshIsolate, IsolateSource } from './isolate-source.js';
import type { GuestRealm } from './kernel-isolate.js';
import { WarmIsolates } from './warm-isolates.js';

/** A realm for one call. */
export interface LentRealm {
  realm: GuestRealm;
  /** No guest code runs in it any more. `isClean`: the call ended with a result. */
  giveBack(isClean: boolean): void;
  /** Makes ahead what another call like this one will need. */
  prepareNext(): void;
}

/** Gives each call a realm as fresh as the host asks for. */
export class RealmSource {
  private readonly warm: WarmIsolates;
  private reused: FreshIsolate | null = null;

  constructor(private readonly isolates: IsolateSource) {
    this.warm = new WarmIsolates(isolates);
  }

  lend(message: CallMessage): LentRealm {
    if (message.without?.includes('freshIsolate') === true) return this.lendReused(message);
    return message.fresh === 'context' ? this.lendWarm(message) : this.lendFresh(message);
  }

  drop(digest: string): void {
    this.warm.drop(digest);
  }

  private lendFresh({ heapMb }: CallMessage): LentRealm {
    const { isolate, realm } = this.isolates.take(heapMb);
    return {
      realm,
      giveBack: () => {
        isolate.dispose();
      },
      prepareNext: () => {
        this.isolates.prepare(heapMb);
      },
    };
  }

  private lendWarm({ digest, heapMb, without }: CallMessage): LentRealm {
    const key = { digest, heapMb };
    const realm = this.warm.take(key);
    const keepsContext = without?.includes('freshContext') === true;
    return {
      realm,
      giveBack: (isClean) => {
        this.warm.giveBack(key, realm, { isClean, keepsContext });
      },
      prepareNext: () => {
        this.warm.prepare(key);
      },
    };
  }

  /** For a negative control only. */
  private lendReused({ heapMb }: CallMessage): LentRealm {
    this.reused ??= this.isolates.take(heapMb);
    return {
      realm: this.reused.realm,
      giveBack: () => undefined,
      prepareNext: () => undefined,
    };
  }
}
