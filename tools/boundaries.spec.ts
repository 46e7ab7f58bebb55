import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { resolve } from 'node:path';

const root = resolve(__dirname, '..');
const RULE = '@nx/enforce-module-boundaries';

/** A line of code in a file that does not exist, and whether the architecture allows it there. */
const refused: [file: string, code: string, why: string][] = [
  ['libs/users/domain/src/x.ts', `import '@nestjs/common';`, 'the domain knows no framework'],
  ['libs/users/contracts/src/x.ts', `import 'typeorm';`, 'nor do the contracts'],
  ['libs/event-sourcing/src/x.ts', `import 'pg';`, 'nor does the kernel'],
  ['libs/users/projections/src/x.ts', `import '@balados/users-domain';`, 'projections see contracts, not domain'],
  ['libs/site/projections/src/x.ts', `import '@balados/users-domain';`, 'site sees the contracts of users alone'],
  ['libs/site/read/src/x.ts', `import '@balados/users-read';`, 'site does not read the tables of users'],
  ['libs/users/read/src/x.ts', `import '@balados/site-read';`, 'nor users those of site'],
  ['libs/platform/stores/src/x.ts', `import '@balados/users-contracts';`, 'the platform serves every context'],
  ['libs/site/read/src/x.ts', `import '../../../users/read/src/index';`, 'a relative path is no way around'],
  ['apps/command-api/src/x.ts', `import '@balados/public-api';`, 'apps do not see each other'],
  ['apps/public-api/src/x.ts', `import '@balados/users-contracts';`, 'what is public knows nothing of users'],
  ['apps/jobs/src/x.ts', `import '@balados/embedded';`, 'only standalone brings its own stores'],
  ['libs/feeds/fetch/src/x.ts', `import '@balados/platform-service';`, 'feeds are fetched without a service around'],
];
const allowed: [file: string, code: string][] = [
  ['libs/users/domain/src/x.ts', `import '@balados/users-contracts';`],
  ['libs/site/projections/src/x.ts', `import '@balados/users-contracts';`],
  ['libs/users/write/src/x.ts', `import '@nestjs/common'; import '@balados/users-domain';`],
  ['apps/standalone/src/x.ts', `import '@balados/command-api'; import '@balados/embedded';`],
];

/** Runs the project's ESLint over texts in one process of its own, and gives the rules that each one breaks. */
function lint(texts: { file: string; code: string }[]): { broken: string[][]; output: string } {
  const script = `
    const { ESLint } = require('eslint');
    (async () => {
      const eslint = new ESLint({ cwd: process.cwd() });
      const broken = [];
      for (const { file, code } of JSON.parse(process.argv[1])) {
        const results = await eslint.lintText(code, { filePath: file });
        if (results.length !== 1) throw new Error(file + ' is not linted');
        broken.push(results[0].messages.map(({ ruleId, message }) => ruleId ?? message));
      }
      console.log('\\n' + JSON.stringify(broken));
    })();`;
  const output = run(['-e', script, JSON.stringify(texts)]);
  return { broken: JSON.parse(output.trim().split('\n').at(-1)!) as string[][], output };
}

function run(args: string[]): string {
  const env = { ...process.env, NX_ISOLATE_PLUGINS: 'false', NX_DAEMON: 'false' };
  return execFileSync(process.execPath, args, { cwd: root, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

describe('the boundaries', () => {
  let answers: ReturnType<typeof lint>;

  beforeAll(() => {
    // Without a project graph the rule only warns, and lets everything pass. Nx makes the graph as it lists projects.
    run([require.resolve('nx/bin/nx.js'), 'show', 'projects']);
    answers = lint([...refused, ...allowed].map(([file, code]) => ({ file, code })));
  });

  it('are checked against a project graph', () => {
    expect(answers.output).not.toContain('No cached ProjectGraph');
  });

  it.each(refused.map((entry, index) => [...entry, index] as const))(
    '%s may not %s: %s',
    (_file, _code, _why, index) => {
      expect(answers.broken[index]).toEqual([RULE]);
    },
  );

  it.each(allowed.map((entry, index) => [...entry, index] as const))('%s may %s', (_file, _code, index) => {
    expect(answers.broken[refused.length + index]).toEqual([]);
  });
});

describe('every project', () => {
  const files = ['apps', 'libs', 'e2e'].flatMap((folder) =>
    readdirSync(resolve(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((file) => /(^|\/)project\.json$/.test(file))
      .map((file) => `${folder}/${file}`),
  );

  it('is found', () => expect(files.length).toBeGreaterThan(20));

  it.each(files)('%s has one type, one context, and can be linted', (file) => {
    const { tags, targets } = JSON.parse(readFileSync(resolve(root, file), 'utf8')) as {
      tags: string[];
      targets: Record<string, object>;
    };
    expect(tags.map((tag) => tag.split(':')[0]).sort()).toEqual(['context', 'type']);
    expect(Object.keys(targets)).toContain('lint');
  });
});
