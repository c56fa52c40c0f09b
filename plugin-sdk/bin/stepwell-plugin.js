#!/usr/bin/env node
// Committed as it is, so that a fresh install can link it before anything is built. Old syntax only:
// it has to run far enough on an old Node to say that Node is old.
const NEEDED_MAJOR = 24;

if (Number(process.versions.node.split('.')[0]) < NEEDED_MAJOR) {
  console.error(
    `stepwell-plugin needs Node.js ${NEEDED_MAJOR} or newer; this is ${process.versions.node}. ` +
      'Run it through an npm script of a package that depends on "node" 24, or install Node.js 24.',
  );
  process.exit(1);
}

const main = new URL('../dist/cli/main.js', import.meta.url);

import(main.href).then(
  ({ runCli }) => runCli(process.argv),
  (error) => {
    if (error.code !== 'ERR_MODULE_NOT_FOUND' || error.url !== main.href) throw error;
    console.error(
      "stepwell-plugin isn't built yet: run `npm run build` in the Stepwell repository.",
    );
    process.exit(1);
  },
);
