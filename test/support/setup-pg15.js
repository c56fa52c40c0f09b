import { startServer } from './postgres-servers.js';

export default async () => {
  await startServer(15);
};
