import { connect, createServer } from 'node:net';

import { Messages, readBind, readParse, readQuery, readStatus } from './wire.mjs';

/**
 * Stands between one host and PostgreSQL, and knows the points of the way of a run by the flush that
 * writes them: before PostgreSQL hears of it, and after it has committed and before the host hears of
 * that. At the point that the trap is set for, the host is killed.
 *
 * @param watch { trap, gate }: what is watched for just now, or null; shared by all proxies
 * @param host of the process that connects at that moment
 */
export async function startPostgresProxy({ target, watch, host }) {
  const sockets = new Set();
  const server = createServer((client) => {
    const upstream = connect(target);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      // Either end may be killed at any time; what it means is for the other end to find out.
      socket.on('error', () => undefined);
      socket.on('close', () => sockets.delete(socket));
    }
    // What is still on its way when the next process has come belongs to the one before.
    relay({ client, upstream, watch, host: host() });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: server.address().port,
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

function relay({ client, upstream, watch, host }) {
  const session = new Session();
  /** Answers to the write whose acknowledgement must not arrive. */
  let held = null;

  const fromClient = new Messages({ hasStartup: true });
  client.on('data', (chunk) => take(fromClient.push(chunk)));
  const take = (messages) => {
    for (const [index, message] of messages.entries()) {
      const points = session.see(message);
      host.id ??= session.hostId;
      if (points.some((point) => watch.trap?.takes(`${point}-before`))) {
        watch.trap.spring(host);
        sever();
        return;
      }
      if (held === null && points.some((point) => watch.trap?.takes(`${point}-after`))) {
        held = { trap: watch.trap, bytes: [], hasFailed: false };
      }
      const goOn = () => {
        upstream.write(message.bytes);
        client.resume();
        take(messages.slice(index + 1));
      };
      if (session.takesOver(message) && watch.gate?.holds(host, goOn)) {
        client.pause();
        return;
      }
      upstream.write(message.bytes);
    }
  };

  const fromServer = new Messages({ hasStartup: false });
  upstream.on('data', (chunk) => {
    for (const { type, bytes } of fromServer.push(chunk)) {
      if (type === 'Z') session.status = readStatus(bytes);
      if (held === null) {
        client.write(bytes);
        continue;
      }
      held.bytes.push(bytes);
      held.hasFailed ||= type === 'E';
      if (type !== 'Z') continue;
      if (!held.hasFailed && session.status === 'I') {
        held.trap.spring(host);
        sever();
        return;
      }
      letGo();
    }
  });
  const letGo = () => {
    held?.trap.giveBack();
    for (const bytes of held?.bytes ?? []) client.write(bytes);
    held = null;
  };
  const sever = () => {
    client.destroy();
    upstream.destroy();
  };
  client.on('close', () => {
    letGo();
    upstream.destroy();
  });
  upstream.on('close', () => {
    letGo();
    client.end();
  });
}

/** One connection: its prepared statements, whether it is in a transaction, and what that writes. */
class Session {
  status = 'I';
  /** Of the host whose heartbeat goes this way. */
  hostId = null;
  #statements = new Map();
  #firesSchedule = false;

  /** @returns the points of the way of a run that this message stands for */
  see({ type, bytes }) {
    if (type === 'P') {
      const { name, sql } = readParse(bytes);
      this.#statements.set(name, sql);
      return [];
    }
    if (type === 'Q') {
      const isCommit = /^\s*commit\b/i.test(readQuery(bytes));
      const points = isCommit && this.#firesSchedule ? ['fire'] : [];
      this.#firesSchedule = false;
      return points;
    }
    if (type !== 'B') return [];
    if (this.#isOf(bytes, /\bheartbeat\(/)) this.hostId = readBind(bytes).parameters[0];
    if (this.#isOf(bytes, /\bfire_schedules\(/)) {
      const [fires] = readBind(bytes).parameters;
      return JSON.parse(fires ?? '[]').length > 0 ? ['fire'] : [];
    }
    if (!this.#isOf(bytes, /\bflush_runs\(/)) return [];
    const flush = readFlush(readBind(bytes).parameters);
    // In a transaction of a schedule it is durable with that alone.
    if (this.status === 'I') return flush.points;
    this.#firesSchedule ||= flush.firesSchedule;
    return [];
  }

  takesOver({ type, bytes }) {
    return type === 'B' && this.#isOf(bytes, /\b(take_over_runs|claim_executions)\(/);
  }

  #isOf(bytes, pattern) {
    const end = bytes.indexOf(0, 5);
    const name = bytes.toString('utf8', end + 1, bytes.indexOf(0, end + 1));
    return pattern.test(this.#statements.get(name) ?? '');
  }
}

/** What a flush holds: new runs, and what runs under way write. */
function readFlush(parameters) {
  const [accepts, writes] = parameters.map((text) => JSON.parse(text ?? '[]'));
  const isIn = (statuses) =>
    writes.some(({ entries }) => entries.some(({ status }) => statuses.includes(status)));
  return {
    firesSchedule: accepts.some(({ trigger }) => trigger === 'schedule'),
    points: [
      ...(accepts.length > 0 ? ['accept'] : []),
      ...(isIn(['started']) ? ['intent'] : []),
      ...(isIn(['success', 'error']) ? ['checkpoint'] : []),
      ...(writes.some(({ becomes }) => ['success', 'error'].includes(becomes)) ? ['finish'] : []),
    ],
  };
}
