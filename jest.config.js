const transform = {
  '^.+\\.ts$': [
    '@swc/jest',
    {
      swcrc: false,
      jsc: {
        target: 'es2024',
        parser: { syntax: 'typescript', decorators: true },
        transform: {
          legacyDecorator: true,
          decoratorMetadata: true,
          useDefineForClassFields: false,
        },
        keepClassNames: true,
      },
      module: { type: 'es6' },
    },
  ],
};

const common = {
  rootDir: import.meta.dirname,
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/test/fixtures/'],
  transform,
};

/** The same files on both ends of the range of PostgreSQL versions. */
const onPostgres = (version) => ({
  ...common,
  displayName: `integration-pg${version}`,
  testMatch: ['<rootDir>/test/integration/**/*.spec.ts'],
  globals: { postgresVersion: version },
  globalSetup: `<rootDir>/test/support/setup-pg${version}.js`,
  globalTeardown: `<rootDir>/test/support/teardown-pg${version}.js`,
});

export default {
  testTimeout: 30_000,
  maxWorkers: 2,
  projects: [
    {
      ...common,
      displayName: 'unit',
      testMatch: ['<rootDir>/{src,plugin-sdk,plugins,test/project}/**/*.spec.ts'],
    },
    onPostgres(18),
    onPostgres(15),
    { ...common, displayName: 'e2e', testMatch: ['<rootDir>/test/e2e/**/*.spec.ts'] },
  ],
};
