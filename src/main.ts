import 'reflect-metadata';

import { StartupError } from './common/errors.js';
import { loadConfig } from './config/config.js';
import { startHost, type Host } from './host.js';

/** A stop that takes longer than this has hung. */
const STOP_DEADLINE_MS = 45_000;

try {
  const host = await startHost(loadConfig());
  stopOnSignals(host);
  if (host.newAdminKey !== null) {
    process.stdout.write(
      `Your API key, shown this once and kept in admin.key: ${host.newAdminKey}\n`,
    );
  }
  process.stdout.write(
    `Stepwell is ready at ${host.url}; in a second terminal try: npx stepwell run examples/hello.json\n`,
  );
} catch (error) {
  if (!(error instanceof StartupError)) throw error;
  process.stderr.write(`stepwell: ${error.message}\n`);
  process.exitCode = 1;
}

function stopOnSignals(host: Host): void {
  let stopping = false;
  const stop = (): void => {
    // A terminal's Ctrl-C arrives twice under npm: from the terminal, and from npm.
    if (stopping) return;
    stopping = true;
    setTimeout(() => {
      process.stderr.write('stepwell: stopping took too long; ending at once\n');
      process.exit(1);
    }, STOP_DEADLINE_MS).unref();
    host.close().then(
      () => process.exit(0),
      (error: unknown) => {
        process.stderr.write(`stepwell: stopping failed: ${String(error)}\n`);
        process.exit(1);
      },
    );
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
}
