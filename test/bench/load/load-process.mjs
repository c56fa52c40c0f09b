/**
 * The load generator: keeps requests in flight to one host and tells how long each took. A process of its
 * own, so that its CPU time counts apart.
 */
import { setTimeout as delay } from 'node:timers/promises';

import { quantilesOf } from '../statistics.mjs';
import { HttpConnection } from './http-connection.mjs';

/** Of one in so many answers the body is looked into. */
const SAMPLE = 32;
const MAX_COMPLAINTS = 3;

process.on('disconnect', () => process.exit(0));
process.on('message', ({ id, job }) => {
  run(job).then(
    (result) => process.send({ id, result }),
    (error) => process.send({ id, error: error.message }),
  );
});

/**
 * Sends requests in turns: each connection its next one as soon as it is answered, or, with `perSecond`, at
 * times that don't wait for answers; a request for which no connection is free has begun nevertheless.
 * @param {{ url: string, requests: object[], connections: number, seconds?: number, count?: number,
 *   perSecond?: number }} job ends after that many seconds or requests, whichever comes first
 */
async function run(job) {
  const { seconds = Infinity, count = Infinity, perSecond = null } = job;
  const requests = job.requests.map(prepare);
  const connections = Array.from({ length: job.connections }, () => new HttpConnection(job.url));
  await inParts(connections, (connection) => connection.open());
  const tally = { times: [], errors: 0, complaints: [] };
  let sent = 0;
  const exchange = (connection, plannedAt) =>
    send(connection, requests[sent++ % requests.length], tally, plannedAt);
  const beganAt = Date.now();
  const begin = performance.now();
  const until = begin + seconds * 1_000;
  const isOver = () => sent >= count || performance.now() >= until;
  try {
    if (perSecond === null) {
      await Promise.all(
        connections.map((connection) => keepBusy(connection, { exchange, isOver })),
      );
    } else {
      await sendAtRate(connections, { exchange, isOver, perSecond });
    }
  } finally {
    for (const connection of connections) connection.close();
  }
  const tookMs = performance.now() - begin;
  const { times, errors, complaints } = tally;
  return { beganAt, tookMs, sent, done: times.length, errors, complaints, ...quantilesOf(times) };
}

/** One after another, without a promise for each. */
function keepBusy(connection, { exchange, isOver }) {
  return new Promise((resolve, reject) => {
    const next = () => {
      if (isOver()) resolve();
      else if (connection.isOpen) exchange(connection, performance.now()).whenAnswered = next;
      else connection.open().then(next, reject);
    };
    next();
  });
}

async function sendAtRate(connections, { exchange, isOver, perSecond }) {
  const free = [...connections];
  const waiting = [];
  const give = async (connection) => {
    if (!connection.isOpen) await connection.open();
    const plannedAt = waiting.shift();
    if (plannedAt === undefined) free.push(connection);
    else exchange(connection, plannedAt).whenAnswered = () => void give(connection);
  };
  const begin = performance.now();
  for (let planned = 0; !isOver();) {
    for (; planned < ((performance.now() - begin) / 1_000) * perSecond; planned++) {
      waiting.push(begin + (planned / perSecond) * 1_000);
    }
    while (waiting.length > 0 && free.length > 0) void give(free.pop());
    await delay(1);
  }
  while (free.length < connections.length) await delay(1);
}

/** @returns an object whose `whenAnswered` is called then */
function send(connection, request, tally, plannedAt) {
  const sending = { whenAnswered: () => undefined };
  connection.send(request.bytes, (status, body) => {
    tally.times.push(performance.now() - plannedAt);
    const isSampled = tally.times.length % SAMPLE === 1;
    if (status !== request.status || (isSampled && !body.includes(request.includes))) {
      tally.errors++;
      if (tally.complaints.length < MAX_COMPLAINTS) {
        tally.complaints.push(`${status} ${String(body).slice(0, 500)}`);
      }
    }
    // An answer that was there before it was waited for is none; a closed connection is.
    queueMicrotask(() => sending.whenAnswered());
  });
  return sending;
}

function prepare({ method = 'POST', path, headers = {}, body = '', expects }) {
  const head = { host: 'bench', ...headers };
  if (body !== '') {
    head['content-type'] = 'application/json';
    head['content-length'] = Buffer.byteLength(body);
  }
  const lines = Object.entries(head).map(([name, value]) => `${name}: ${value}\r\n`);
  return {
    bytes: Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body}`),
    status: expects.status,
    includes: expects.includes ?? '',
  };
}

/** So that a thousand at once don't overrun the queue of those who knock. */
async function inParts(items, work, size = 100) {
  for (let at = 0; at < items.length; at += size) {
    await Promise.all(items.slice(at, at + size).map(work));
  }
}
