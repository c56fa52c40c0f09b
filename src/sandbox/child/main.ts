/**
 * The sandbox child: a bare node process that turns frames into isolates. It holds no secret and no
 * right worth stealing; still the host treats every byte that it sends as hostile.
 *
 * argv: path of isolated-vm's addon, path of the kernel's script.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Socket } from 'node:net';

import type ivmModule from 'isolated-vm';

import type { HostMessage } from '../protocol/messages.js';
import { FrameParser, type Frame } from '../protocol/frames.js';
import { ChildServer } from './child-server.js';
import { IsolateSource } from './isolate-source.js';
import { HostLink } from './host-link.js';

const [addonPath, kernelPath] = process.argv.slice(2);
if (addonPath === undefined || kernelPath === undefined)
  throw new Error('usage: child <addon> <kernel>');

const { ivm } = createRequire(__filename)(addonPath) as { ivm: typeof ivmModule };
const socket = new Socket({ fd: 3, readable: true, writable: true });
const link = new HostLink(socket);
const server = new ChildServer(new IsolateSource(ivm, readFileSync(kernelPath, 'utf8')), link);
const parser = new FrameParser();

socket.on('data', (chunk: Buffer) => {
  parser.push(chunk, ({ header, body }: Frame) => {
    server.handle(JSON.parse(header) as HostMessage, body);
  });
});
// The host is gone. A graceful exit can hang in an isolate that still runs.
socket.on('close', die);
socket.on('error', die);

server.announce();

function die(): void {
  process.kill(process.pid, 'SIGKILL');
}
