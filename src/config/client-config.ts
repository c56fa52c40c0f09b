import { resolve } from 'node:path';

/** What the command line needs to know before it knows whether a host has to be started. */
export interface ClientConfig {
  /** Folder whose host is spoken to. */
  home: string;
  /** Null: the key that the first start wrote into the home. */
  apiKey: string | null;
}

/** Reads less than a host does, so that a wrong setting of the host stops no client. */
export function loadClientConfig(
  env: NodeJS.ProcessEnv = process.env,
  cwd = process.cwd(),
): ClientConfig {
  const { STEPWELL_HOME: home, STEPWELL_API_KEY: apiKey } = env;
  return {
    home: resolve(cwd, home === undefined || home === '' ? '.stepwell' : home),
    apiKey: apiKey === undefined || apiKey === '' ? null : apiKey,
  };
}

/** The environment for a host that the command line starts: its own, on any free port. */
export function environmentOfOwnHost(): NodeJS.ProcessEnv {
  return { ...process.env, PORT: '0' };
}
