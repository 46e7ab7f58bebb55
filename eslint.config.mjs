import eslint from '@eslint/js';
import nx from '@nx/eslint-plugin';
import typescript from 'typescript-eslint';

const framework = ['@nestjs/*', 'typeorm', 'pg', '@eventstore/*', '@grpc/*', 'fastify'];

const pure = ['type:kernel', 'type:contracts'];
const outer = [...pure, 'type:platform', 'type:schema', 'type:testing'];

/**
 * The arrow of the architecture as a rule. `type` is what a project is for, `context` whose language it speaks.
 * tools/boundaries.spec.ts proves that a known violation is refused.
 */
export const boundaries = [
  { sourceTag: 'type:kernel', onlyDependOnLibsWithTags: [], bannedExternalImports: framework },
  { sourceTag: 'type:contracts', onlyDependOnLibsWithTags: pure, bannedExternalImports: framework },
  { sourceTag: 'type:domain', onlyDependOnLibsWithTags: pure, bannedExternalImports: framework },
  { sourceTag: 'type:feeds', onlyDependOnLibsWithTags: ['type:contracts', 'type:feeds', 'type:testing'] },
  { sourceTag: 'type:embedded', onlyDependOnLibsWithTags: ['type:testing'] },
  { sourceTag: 'type:testing', onlyDependOnLibsWithTags: ['type:kernel', 'type:embedded'] },
  {
    sourceTag: 'type:platform',
    onlyDependOnLibsWithTags: ['type:kernel', 'type:platform', 'type:embedded', 'type:testing'],
  },
  { sourceTag: 'type:schema', onlyDependOnLibsWithTags: ['type:platform', 'type:testing'] },
  { sourceTag: 'type:projections', onlyDependOnLibsWithTags: outer },
  { sourceTag: 'type:write', onlyDependOnLibsWithTags: [...outer, 'type:domain', 'type:write'] },
  { sourceTag: 'type:read', onlyDependOnLibsWithTags: [...outer, 'type:domain', 'type:write', 'type:read'] },
  {
    sourceTag: 'type:app',
    onlyDependOnLibsWithTags: [...outer, 'type:domain', 'type:feeds', 'type:write', 'type:projections', 'type:read'],
  },
  // The one app that sees the others.
  {
    sourceTag: 'type:standalone',
    onlyDependOnLibsWithTags: [...outer, 'type:app', 'type:embedded'],
  },
  { sourceTag: 'type:e2e', onlyDependOnLibsWithTags: ['*'] },
  { sourceTag: 'type:tools', onlyDependOnLibsWithTags: ['*'] },
  { sourceTag: 'context:users', notDependOnLibsWithTags: ['context:site'] },
  // site listens to what users say, and to nothing else of theirs
  { sourceTag: 'context:site', onlyDependOnLibsWithTags: ['context:site', 'context:shared', 'type:contracts'] },
  { sourceTag: 'context:public-api', notDependOnLibsWithTags: ['context:users'] },
];

const boundaryRule = (allow) => ['error', { enforceBuildableLibDependency: false, allow, depConstraints: boundaries }];

export default typescript.config(
  { ignores: ['dist', 'node_modules', '.nx', '.data', '**/*.js', '**/*.cjs', '**/*.mjs'] },
  eslint.configs.recommended,
  ...typescript.configs.recommended,
  {
    files: ['**/*.ts'],
    plugins: { '@nx': nx },
    rules: {
      '@nx/enforce-module-boundaries': boundaryRule([]),
      '@typescript-eslint/consistent-type-imports': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      eqeqeq: 'error',
      'no-console': 'error',
    },
  },
  {
    // Apps never see each other, but for standalone, which runs the modules of these in its process.
    files: ['apps/standalone/**/*.ts'],
    rules: {
      '@nx/enforce-module-boundaries': boundaryRule(
        ['command-api', 'projections', 'public-api', 'rss-proxy', 'play-gateway', 'jobs'].map(
          (app) => `@balados/${app}`,
        ),
      ),
    },
  },
  {
    // The front door's tests drive whole processes and print their timings; tools talk to whoever runs them.
    files: ['e2e/**/*.ts', 'tools/**/*.ts'],
    rules: {
      'no-console': 'off',
      // The bench starts the system as the tests do; what an operator calls, and what the simulated year runs, is the services' own.
      '@nx/enforce-module-boundaries': boundaryRule([
        '@balados/e2e-support',
        '@balados/jobs',
        '@balados/projections/operate',
      ]),
    },
  },
);
