import type { NestFastifyApplication } from '@nestjs/platform-fastify';

import { AppError } from '../errors.js';

const HEALTH = '/api/health';
const METRICS = '/metrics';

/** For a host that isn't there for the API: only its health and metrics can be asked for. */
export function refuseApi(app: NestFastifyApplication): void {
  app
    .getHttpAdapter()
    .getInstance()
    .addHook('onRequest', (request, _reply, done) => {
      const [path = ''] = request.url.split('?');
      if (path === HEALTH || path === METRICS || path.startsWith(`${HEALTH}/`)) done();
      else {
        done(
          new AppError(
            'service.unavailable',
            "this host doesn't serve the API (its STEPWELL_ROLES leave out api); ask one that does",
          ),
        );
      }
    });
}
