import type { CallMessage, HostMessage } from '../protocol/messages.js';
import type { HostLink } from './host-link.js';
import { IsolateCall } from './isolate-call.js';
import type { IsolateSource } from './isolate-source.js';
import { RealmSource } from './realm-source.js';

/** Takes the host's messages: bundles to keep, one call at a time, answers to its requests. */
export class ChildServer {
  private readonly bundles = new Map<string, string>();
  private readonly realms: RealmSource;
  private current: IsolateCall | null = null;

  constructor(
    private readonly isolates: IsolateSource,
    private readonly link: HostLink,
  ) {
    this.realms = new RealmSource(isolates);
  }

  announce(): void {
    this.isolates.prepare(DEFAULT_HEAP_MB);
    this.link.send({ type: 'hello', node: process.version });
  }

  handle(message: HostMessage, body: Uint8Array): void {
    switch (message.type) {
      case 'bundle':
        this.bundles.set(message.digest, text(body));
        break;
      case 'drop':
        this.bundles.delete(message.digest);
        this.realms.drop(message.digest);
        break;
      case 'call':
        this.begin(message, text(body));
        break;
      case 'answer':
        this.current?.answer(message, body);
        break;
    }
  }

  private begin(message: CallMessage, input: string): void {
    const bundle = this.bundles.get(message.digest);
    if (bundle === undefined) throw new Error('call for a bundle that was never sent');
    const lent = this.realms.lend(message);
    const call = new IsolateCall({ message, input, bundle, realm: lent.realm, link: this.link });
    this.current = call;
    void call.run().then((hasSucceeded) => {
      this.current = null;
      lent.giveBack(hasSucceeded);
      this.link.send({ type: 'idle', call: message.call });
      // After the frame is on its way: the host hands out the next call meanwhile.
      setImmediate(() => {
        if (this.current === null) lent.prepareNext();
      });
    });
  }
}

const DEFAULT_HEAP_MB = 64;

function text(body: Uint8Array): string {
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8');
}
