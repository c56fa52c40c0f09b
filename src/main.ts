import 'reflect-metadata';

import { messageOf, StartupError } from './common/errors.js';
import { loadConfig } from './config/config.js';
import { startHost, type Host } from './host.js';

/** A stop that takes longer than this has hung. */
const STOP_DEADLINE_MS = 45_000;

let host: Host | null = null;
let isStopping = false;

// Before anything starts: what is half up when a signal comes is stopped in order as well.
process.on('SIGINT', stop);
process.on('SIGTERM', stop);

try {
  host = await startHost(loadConfig());
  if (hasBeenStopped()) end(host);
  else greet(host);
} catch (error) {
  process.stderr.write(`stepwell: ${messageOf(error)}\n`);
  if (!(error instanceof StartupError) && error instanceof Error) {
    process.stderr.write(`${error.stack ?? ''}\n`);
  }
  process.exitCode = 1;
}

function hasBeenStopped(): boolean {
  return isStopping;
}

function greet({ url, newAdminKey }: Host): void {
  if (newAdminKey !== null) {
    process.stdout.write(`Your API key, shown this once and kept in admin.key: ${newAdminKey}\n`);
  }
  process.stdout.write(
    `Stepwell is ready at ${url}; in a second terminal try: npx stepwell run examples/hello.json\n`,
  );
}

/** A terminal's Ctrl-C may arrive twice under npm: from the terminal, and from npm. */
function stop(): void {
  if (isStopping) return;
  isStopping = true;
  setTimeout(() => {
    process.stderr.write('stepwell: stopping took too long; ending at once\n');
    process.exit(1);
  }, STOP_DEADLINE_MS).unref();
  if (host) end(host);
}

function end(running: Host): void {
  running.close().then(
    () => process.exit(0),
    (error: unknown) => {
      process.stderr.write(`stepwell: stopping failed: ${messageOf(error)}\n`);
      process.exit(1);
    },
  );
}
