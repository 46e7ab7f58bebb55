const { existsSync } = require('node:fs');

// A test file's name ends in what it needs: .spec.ts nothing, .int.spec.ts Postgres or gRPC, .e2e.spec.ts everything,
// .alone.e2e.spec.ts everything and the machine for itself.
const stages = {
  unit: '(?<!\\.int|\\.e2e)\\.spec\\.ts$',
  int: '\\.int\\.spec\\.ts$',
  e2e: '(?<!\\.alone)\\.e2e\\.spec\\.ts$',
  alone: '\\.alone\\.e2e\\.spec\\.ts$',
};

/** TEST_STAGE=unit|int|e2e|alone runs that kind alone; the unit stage starts no Postgres. */
module.exports = {
  ...require('./jest.preset.js'),
  roots: ['apps', 'libs', 'e2e', 'tools']
    .filter((folder) => existsSync(`${__dirname}/${folder}`))
    .map((folder) => `<rootDir>/${folder}`),
  testRegex: stages[process.env.TEST_STAGE] ?? '\\.spec\\.ts$',
  testSequencer: '<rootDir>/tools/jest-sequencer.cjs',
  globalSetup: '<rootDir>/tools/jest-global-setup.mjs',
  globalTeardown: '<rootDir>/tools/jest-global-teardown.mjs',
};
