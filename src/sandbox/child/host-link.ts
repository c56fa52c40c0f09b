import type { Socket } from 'node:net';

import { encodeFrame } from '../protocol/frames.js';
import type { ChildMessage } from '../protocol/messages.js';

/** The child's end of the pipe to the host. */
export class HostLink {
  constructor(private readonly socket: Socket) {}

  send(message: ChildMessage, body?: Uint8Array): void {
    const parts = encodeFrame(JSON.stringify(message), body);
    if (parts.length > 1) this.socket.cork();
    for (const part of parts) this.socket.write(part);
    if (parts.length > 1) this.socket.uncork();
  }
}
