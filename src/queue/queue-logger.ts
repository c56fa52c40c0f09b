import type { Logger as HostLogger } from '@nestjs/common';
import { Logger } from 'graphile-worker';

/** What the queue's library has to say, in the host's log. That a job was done is nobody's news. */
export function queueLogger(logger: HostLogger): Logger {
  return new Logger(() => (level, message, meta) => {
    const { error } = meta;
    const fields = { ...(error instanceof Error && { err: error }) };
    switch (level) {
      case 'error':
        logger.error(fields, message);
        break;
      case 'warning':
        logger.warn(fields, message);
        break;
      case 'info':
      case 'debug':
        logger.verbose(fields, message);
    }
  });
}
