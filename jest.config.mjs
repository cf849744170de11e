import { availableParallelism } from 'node:os';

/** Runs the TypeScript sources as ES modules, decorators with metadata, as Nest 12 needs them. */
export default {
  testEnvironment: 'node',
  rootDir: import.meta.dirname,
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.spec.ts'],
  // What takes long, or needs a browser, has a run of its own: jest.long.config.mjs, jest.browser.config.mjs.
  testPathIgnorePatterns: ['\\.(long|browser)\\.spec\\.ts$', '<rootDir>/test/consumer'],
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: {
    '^@fastify/static$': '<rootDir>/test/support/fastify-static.cjs',
    '^nestjs-session-auth$': '<rootDir>/lib/index.ts',
    '^nestjs-session-auth/(health|metrics|swagger|testing)$': '<rootDir>/lib/$1/index.ts',
    '^(\\.{1,2}/.*)\\.js$': '$1',
  },
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: {
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true },
          target: 'es2022',
          keepClassNames: true,
        },
        module: { type: 'es6' },
        sourceMaps: 'inline',
      },
    ],
  },
  testTimeout: 30_000,
  // Much of a test is waiting for servers: three files at a time, on two cores as well.
  maxWorkers: Math.max(3, availableParallelism() - 1),
};
