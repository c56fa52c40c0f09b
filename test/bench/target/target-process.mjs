/**
 * What the plans of the bench call: an HTTP server that reads the path of a request and nothing else, so
 * that it takes next to nothing of the machine. Every request is a GET without a body, and ends where its
 * head does.
 */
import { createServer } from 'node:net';

const END_OF_HEAD = '\r\n\r\n';

let hits = 0;
/** Requests for what nobody named: a plan built a wrong URL. */
let strays = 0;
/** Answers that are kept back until `release`, by who waits. */
const held = new Map();
let waiters = [];

const OK = answer(200, '{"ok":true}');
const NOT_FOUND = answer(404, '{"ok":false}');
const CURRENT = answer(200, '{"celsius":20}');
const FORECAST = answer(200, '[{"date":"2026-01-01","celsius":20}]');

const server = createServer({ noDelay: true }, (socket) => {
  let begun = '';
  socket.setEncoding('latin1');
  socket.on('error', () => socket.destroy());
  socket.once('close', () => held.delete(socket));
  socket.on('data', (text) => {
    begun += text;
    for (let end; (end = begun.indexOf(END_OF_HEAD)) !== -1;) {
      const path = begun.slice('GET '.length, begun.indexOf(' ', 'GET '.length));
      begun = begun.slice(end + END_OF_HEAD.length);
      reply(path, socket);
    }
  });
});
server.listen(0, '127.0.0.1');

process.on('disconnect', () => process.exit(0));
process.on('message', ({ id, job }) => {
  const { kind, hits: expected = 0, held: expectedHeld = 0 } = job;
  const done = () => process.send({ id, result: { hits, strays, held: held.size } });
  if (kind === 'port') {
    const tell = () => process.send({ id, result: server.address().port });
    if (server.listening) tell();
    else server.once('listening', tell);
  } else if (kind === 'reset') {
    hits = strays = 0;
    done();
  } else if (kind === 'release') {
    for (const [socket, answer] of held) socket.write(answer);
    held.clear();
    done();
  } else {
    waiters.push({ expected, expectedHeld, done });
    tellWaiters();
  }
});

function reply(path, socket) {
  hits++;
  if (path.startsWith('/hold/')) held.set(socket, CURRENT);
  // The code of the plans gives odd numbers alone: whoever passed its input on unread would be found.
  else if (/^\/n\/\d*[13579]$/.test(path)) socket.write(OK);
  else if (path.startsWith('/forecast?')) socket.write(FORECAST);
  else {
    strays++;
    socket.write(NOT_FOUND);
  }
  tellWaiters();
}

function tellWaiters() {
  if (waiters.length === 0) return;
  const isDone = ({ expected, expectedHeld }) => hits >= expected && held.size >= expectedHeld;
  for (const { done } of waiters.filter(isDone)) done();
  waiters = waiters.filter((waiter) => !isDone(waiter));
}

function answer(status, body) {
  const head = `HTTP/1.1 ${status} Said\r\ncontent-type: application/json\r\ncontent-length: ${body.length}`;
  return `${head}${END_OF_HEAD}${body}`;
}
