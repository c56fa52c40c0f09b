import { createTypeScriptImportResolver } from 'eslint-import-resolver-typescript';
import { importX } from 'eslint-plugin-import-x';
import tseslint from 'typescript-eslint';

/**
 * The rooms of src and what each may import (docs/architecture.md). A room imports itself, and the
 * rooms of all layers before its own.
 */
const LAYERS = [
  ['common', 'config'],
  ['sandbox', 'egress'],
  ['database'],
  ['queue'],
  ['tenancy'],
  ['events'],
  ['plugins'],
  ['credentials'],
  ['plans'],
  ['execution'],
  ['triggers', 'scheduling'],
  ['monitoring', 'health'],
];

const restrictions = LAYERS.flatMap((rooms, layer) =>
  rooms.map((room) => ({
    target: `./src/${room}`,
    from: [...LAYERS.slice(layer + 1).flat(), 'cli'].map((other) => `./src/${other}`),
    message: `${room} stands before it: the callee doesn't know its callers (docs/architecture.md)`,
  })),
);

export default tseslint.config(
  {
    ignores: [
      '**/dist/**',
      'node_modules/**',
      '**/*.d.mts',
      'test/fixtures/plugins/*/dist/**',
      'plugin-sdk/type-tests/**',
    ],
  },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    plugins: { 'import-x': importX },
    languageOptions: {
      parserOptions: {
        project: [
          'test/tsconfig.json',
          'plugin-sdk/tsconfig.lint.json',
          'src/sandbox/guest/tsconfig.json',
          'plugins/tsconfig.json',
          'test/fixtures/plugins/tsconfig.json',
        ],
        tsconfigRootDir: import.meta.dirname,
      },
    },
    settings: {
      'import-x/resolver-next': [createTypeScriptImportResolver({ project: 'tsconfig.json' })],
    },
    rules: {
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      // Shapes of fetch and of Nest's options are declared as classes and given as plain objects.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      // Nest modules are classes with nothing but a decorator, or a static maker.
      '@typescript-eslint/no-extraneous-class': [
        'error',
        { allowWithDecorator: true, allowStaticOnly: true },
      ],
      'import-x/no-cycle': ['error', { ignoreExternal: true }],
      'import-x/no-restricted-paths': [
        'error',
        {
          zones: [
            ...restrictions,
            {
              target: './src/cli',
              from: './src',
              except: ['./cli', './common', './config'],
              message: 'the command line speaks HTTP to a host; it imports common and config only',
            },
            {
              target: ['./src/sandbox', './src/egress'],
              from: './node_modules/@nestjs',
              message: 'the SDK carries this code: it knows neither Nest nor the database',
            },
            {
              target: './src',
              from: './plugin-sdk/cli',
              message: 'the SDK imports the host, never the other way round',
            },
          ],
        },
      ],
    },
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/config/**', '**/*.spec.ts'],
    rules: {
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'env', message: 'config reads the environment, once' },
      ],
    },
  },
  {
    files: ['**/*.spec.ts', 'test/**/*.ts'],
    rules: {
      // Tests read answers whose shape is what they are about.
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
    },
  },
);
