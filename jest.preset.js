const { readFileSync } = require('node:fs');

// The paths of tsconfig.base.json are the only list of aliases; Jest reads the same one.
const { paths } = JSON.parse(readFileSync(`${__dirname}/tsconfig.base.json`, 'utf8')).compilerOptions;
const moduleNameMapper = Object.fromEntries(
  Object.entries(paths).map(([alias, [file]]) => [`^${alias}$`, `${__dirname}/${file}`]),
);

/** One preset for every suite: CommonJS, TypeScript always compiled, npm packages only where they are ES modules. */
module.exports = {
  rootDir: __dirname,
  testEnvironment: 'node',
  moduleNameMapper,
  transform: { '^.+\\.(ts|js|mjs)$': `${__dirname}/tools/jest-transformer.cjs` },
  transformIgnorePatterns: [],
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/.nx/'],
  // Suites share the machine: a limit is for what hangs.
  testTimeout: 120_000,
};
