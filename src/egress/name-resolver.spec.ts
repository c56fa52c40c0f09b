import { createSocket } from 'node:dgram';
import type { Socket } from 'node:dgram';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, describe, expect, it } from '@jest/globals';

import { HostsFile, parseHosts } from './hosts-file.js';
import { NameResolver } from './name-resolver.js';

const cleanups: (() => Promise<void>)[] = [];

afterEach(async () => {
  await Promise.all(cleanups.splice(0).map((cleanup) => cleanup()));
});

type Answer = { v4?: string; v6?: number[]; status?: number } | 'silence';

const A = 1;

/** A name server (RFC 1035, section 4) that knows single names. */
async function serve(names: Record<string, Answer>): Promise<{ server: string; asked: string[] }> {
  const socket: Socket = createSocket('udp4');
  const asked: string[] = [];
  socket.on('message', (query, { port, address }) => {
    const { name, type, end } = readQuestion(query);
    asked.push(`${name} ${type === A ? 'A' : 'AAAA'}`);
    const answer = names[name] ?? { status: 3 };
    if (answer === 'silence') return;
    const data = type === A ? answer.v4?.split('.').map(Number) : answer.v6;
    const header = Buffer.from(query.subarray(0, 12));
    header.writeUInt16BE(0x8180 | (answer.status ?? 0), 2);
    header.writeUInt16BE(data === undefined ? 0 : 1, 6);
    header.writeUInt32BE(0, 8);
    const record = Buffer.from([0xc0, 0x0c, 0, type, 0, 1, 0, 0, 0, 60, 0, data?.length ?? 0]);
    const body = data === undefined ? [] : [record, Buffer.from(data)];
    socket.send(Buffer.concat([header, query.subarray(12, end), ...body]), port, address);
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  cleanups.push(
    () =>
      new Promise((resolve) => {
        socket.close(resolve);
      }),
  );
  return { server: `127.0.0.1:${String(socket.address().port)}`, asked };
}

function readQuestion(query: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length).toLowerCase());
    at += 1 + length;
  }
  return { name: labels.join('.'), type: query.readUInt16BE(at + 1), end: at + 5 };
}

async function hostsFile(text: string): Promise<HostsFile> {
  const folder = await mkdtemp(join(tmpdir(), 'hosts-'));
  cleanups.push(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'hosts'), text);
  return new HostsFile(join(folder, 'hosts'));
}

async function resolverFor(
  names: Record<string, Answer>,
  hosts = '',
): Promise<{ resolver: NameResolver; asked: string[] }> {
  const { server, asked } = await serve(names);
  const given = { servers: [server], hostsFile: await hostsFile(hosts), timeoutMs: 400 };
  return { resolver: new NameResolver(given), asked };
}

const V6 = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

describe('NameResolver', () => {
  it('takes the addresses of both families, IPv4 first', async () => {
    const { resolver } = await resolverFor({
      'both.example': { v4: '192.0.2.7', v6: V6 },
      'six.example': { v6: V6 },
    });
    expect(await resolver.lookup('both.example')).toEqual([
      { address: '192.0.2.7', family: 4 },
      { address: '2001:db8::1', family: 6 },
    ]);
    expect(await resolver.lookup('six.example')).toEqual([{ address: '2001:db8::1', family: 6 }]);
  });

  it('asks the hosts file first, and nobody for localhost', async () => {
    const { resolver, asked } = await resolverFor(
      { 'intranet.example': { v4: '192.0.2.7' } },
      '10.1.2.3 Intranet.example # ours\n',
    );
    expect(await resolver.lookup('intranet.example.')).toEqual([
      { address: '10.1.2.3', family: 4 },
    ]);
    for (const name of ['localhost', 'app.localhost']) {
      expect((await resolver.lookup(name)).map(({ address }) => address)).toEqual([
        '127.0.0.1',
        '::1',
      ]);
    }
    expect(asked).toEqual([]);
  });

  it('tells a name that is not there from a server that does not say', async () => {
    const { resolver } = await resolverFor({
      'broken.example': { status: 2 },
      'silent.example': 'silence',
      'empty.example': {},
    });
    await expect(resolver.lookup('nowhere.example')).rejects.toMatchObject({ code: 'ENOTFOUND' });
    await expect(resolver.lookup('empty.example')).rejects.toMatchObject({ code: 'ENOTFOUND' });
    await expect(resolver.lookup('broken.example')).rejects.toMatchObject({ code: 'EAI_AGAIN' });
    await expect(resolver.lookup('silent.example')).rejects.toMatchObject({ code: 'EAI_AGAIN' });
  });

  it('serves others while more names than threads wait for a silent server', async () => {
    const silent = Array.from({ length: 12 }, (_, i) => `s${String(i)}.example`);
    const { resolver } = await resolverFor({
      ...Object.fromEntries(silent.map((name) => [name, 'silence'])),
      'quick.example': { v4: '192.0.2.7' },
    });
    let ended = 0;
    const waiting = silent.map((name) =>
      resolver.lookup(name).catch(() => {
        ended += 1;
      }),
    );
    expect(await resolver.lookup('quick.example')).toHaveLength(1);
    expect(ended).toBe(0);
    await Promise.all(waiting);
    expect(ended).toBe(12);
  });
});

describe('the hosts file', () => {
  it('may give a name several addresses; what it cannot mean is passed over', () => {
    const names = parseHosts(
      '# all\n127.0.0.1\tlocalhost box\n::1 localhost\n::1 localhost\nnonsense box\nfe80::1%lo0 box\r\n10.0.0.1 last\r\n',
    );
    expect(Object.fromEntries(names)).toEqual({
      localhost: [
        { address: '127.0.0.1', family: 4 },
        { address: '::1', family: 6 },
      ],
      box: [{ address: '127.0.0.1', family: 4 }],
      last: [{ address: '10.0.0.1', family: 4 }],
    });
  });

  it('may be missing', async () => {
    expect(await new HostsFile('/nowhere/hosts').find('localhost')).toEqual([]);
  });
});
