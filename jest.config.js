/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  // Types are checked once for the whole tree by `npm run lint`; here every file is only translated.
  transform: {
    '^.+\\.ts$': ['ts-jest', { tsconfig: '<rootDir>/tsconfig.json', diagnostics: false }],
  },
  modulePathIgnorePatterns: ['<rootDir>/build/', '<rootDir>/build-cmake/', '<rootDir>/dist/'],
  // The library uses every core by itself.
  maxWorkers: 2,
  testTimeout: 30_000,
};
