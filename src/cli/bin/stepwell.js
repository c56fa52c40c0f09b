#!/usr/bin/env node
// Committed rather than built: npm links the files of workspaces before it builds them.
import { existsSync } from 'node:fs';

const main = new URL('../../../dist/cli/main.js', import.meta.url);
if (Number(process.versions.node.split('.')[0]) < 24) {
  process.stderr.write(
    `stepwell: this needs Node.js 24, which npm installed with the project; run it as "npx stepwell"\n`,
  );
  process.exitCode = 1;
} else if (!existsSync(main)) {
  process.stderr.write('stepwell: not built yet; run "npm ci" in the project first\n');
  process.exitCode = 1;
} else {
  await import(main.href);
}
