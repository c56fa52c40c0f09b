import { stopServer } from './postgres-servers.js';

export default async () => {
  await stopServer(18);
};
