import { createServer } from 'node:http';

import { findPeer } from './processes.mjs';

/** Longest time for an answer, so that kills fall into the middle of requests, too. */
const MAX_ANSWER_MS = 60;

/**
 * Counts what reaches it by path, which names execution, step and item, and at the trap's point kills
 * the host that asks: before it answers, when it has answered and the host can't have read that, and
 * when it has just answered.
 */
export async function startProvider({ random, watch, hosts }) {
  const counts = new Map();
  /** Told of each link of a wait, each time that it is sent. */
  const onLink = { tell: () => undefined };
  const server = createServer((request, response) => {
    counts.set(request.url, (counts.get(request.url) ?? 0) + 1);
    const link = new URL(request.url, 'http://provider').searchParams.get('link');
    if (link !== null) onLink.tell(link);
    const isWrite = request.method === 'POST';
    if (isWrite && takes('request-arrived', request)) return;
    request.resume().on('end', () => {
      setTimeout(() => answer(request, response, isWrite), random() * MAX_ANSWER_MS);
    });
  });

  function answer(request, response, isWrite) {
    if (response.closed) return; // whoever asked is gone
    const send = () => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end('{"ok":true}');
    };
    const sendAnd = (spring) => {
      response.once('close', spring);
      send();
    };
    if (!isWrite) {
      send();
      return;
    }
    const isUnread = takes('answer-unread', request, (spring, host) => {
      host.signal('SIGSTOP');
      sendAnd(spring);
    });
    if (!isUnread && !takes('answer-written', request, sendAnd)) send();
  }

  /** @param how does the rest, and then springs the trap; absent: nothing is left to do */
  function takes(point, request, how = (spring) => spring()) {
    const { trap } = watch;
    if (trap?.point !== point) return false;
    const host = whoAsks(request.socket);
    if (host === null || !trap.takes(point)) return false;
    how(() => trap.spring(host), host);
    return true;
  }

  function whoAsks({ localPort, remotePort }) {
    const living = hosts.living();
    const pid = findPeer(
      living.map((host) => host.pid),
      { localPort, remotePort },
    );
    return living.find((host) => host.pid === pid) ?? null;
  }

  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  return {
    port,
    counts,
    onLink,
    url: `http://127.0.0.1:${port}`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
