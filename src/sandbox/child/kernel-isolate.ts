import type ivmModule from 'isolated-vm';
import type { Callback, Context, ExternalCopy, Isolate, Reference, Script } from 'isolated-vm';

import type { KernelDeliver, KernelKind } from '../protocol/kernel-bridge.js';

/** A context with our kernel in it and nothing of a guest's: for one call. */
export interface GuestRealm {
  readonly isolate: Pick<Isolate, 'isDisposed'>;
  readonly context: Context;
  readonly deliver: Reference<KernelDeliver>;
  /** Where what the kernel sends, and V8's last words, go to. Set before guest code runs. */
  receiver: RealmReceiver | null;
  /** Compiles the plugin. @returns what evaluates it in this context */
  compile(bundle: string): Promise<() => Promise<unknown>>;
}

export interface RealmReceiver {
  receive(kind: KernelKind, head: string, body: string): void;
  /** V8 lost control of the isolate; its thread is beyond recovery. */
  onCatastrophe(): void;
}

/** An isolate that begins with our kernel alone, and then has one plugin in it, however many contexts. */
export class KernelIsolate {
  private readonly isolate: Isolate;
  private readonly realms = new Set<GuestRealm>();
  private compiled: { bundle: string; script: Script } | null = null;

  constructor(
    private readonly ivm: typeof ivmModule,
    snapshot: ExternalCopy<ArrayBuffer>,
    readonly heapMb: number,
  ) {
    this.isolate = new ivm.Isolate({
      memoryLimit: heapMb,
      snapshot,
      onCatastrophicError: () => {
        for (const realm of this.realms) realm.receiver?.onCatastrophe();
      },
    });
  }

  get isDisposed(): boolean {
    return this.isolate.isDisposed;
  }

  makeRealm(): GuestRealm {
    const { ivm, isolate } = this;
    const context = isolate.createContextSync();
    const attach = context.global.getSync('__stepwell_attach', { reference: true }) as Reference<
      (send: Callback) => KernelDeliver
    >;
    // Each realm has a way out of its own, so that none can speak for another.
    const send = new ivm.Callback(
      (kind: KernelKind, head: string, body: string) => realm.receiver?.receive(kind, head, body),
      { ignored: true },
    );
    const deliver = attach.applySync(undefined, [send], { result: { reference: true } });
    attach.release();
    const realm: GuestRealm = {
      isolate,
      context,
      deliver,
      receiver: null,
      compile: async (bundle) => {
        const script = await this.compile(bundle);
        return () => script.run(context);
      },
    };
    this.realms.add(realm);
    return realm;
  }

  /** Lets go of a realm whose call is over; V8 collects it in its own time. */
  dropRealm(realm: GuestRealm): void {
    realm.receiver = null;
    this.realms.delete(realm);
    if (this.isolate.isDisposed) return;
    realm.deliver.release();
    realm.context.release();
  }

  /** What its heap holds, garbage and buffers included, bytes. */
  usedBytes(): number {
    const heap = this.isolate.getHeapStatisticsSync();
    return heap.used_heap_size + heap.externally_allocated_size;
  }

  dispose(): void {
    this.realms.clear();
    if (!this.isolate.isDisposed) this.isolate.dispose();
  }

  private async compile(bundle: string): Promise<Script> {
    if (this.compiled?.bundle !== bundle) {
      const script = await this.isolate.compileScript(bundle, { filename: 'plugin.js' });
      this.compiled = { bundle, script };
    }
    return this.compiled.script;
  }
}
