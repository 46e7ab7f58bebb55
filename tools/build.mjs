// Bundles one app to CommonJS: our sources in, npm packages left outside (Node requires Nest's ES modules itself).
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { rolldown } from 'rolldown';

const [app] = process.argv.slice(2);
const root = resolve(import.meta.dirname, '..');
const source = resolve(root, `apps/${app}/src`);
// An app may have more entries than main.ts: processes that it supervises.
const entries = ['main', 'eventstore', 'postgres'].filter((name) => existsSync(`${source}/${name}.ts`));
if (!app || entries.length === 0) {
  console.error(`build: no app ${app ?? '(none named)'}; usage: node tools/build.mjs <app>`);
  process.exit(2);
}
const { paths } = JSON.parse(readFileSync(`${root}/tsconfig.base.json`, 'utf8')).compilerOptions;
const ours = (id) => id.startsWith('.') || id.startsWith('/') || id in paths || id.startsWith('@oxc-project/');

const bundle = await rolldown({
  input: Object.fromEntries(entries.map((name) => [name, `${source}/${name}.ts`])),
  platform: 'node',
  tsconfig: `${root}/tsconfig.json`,
  external: (id) => !ours(id),
});
rmSync(`${root}/dist/apps/${app}`, { recursive: true, force: true });
await bundle.write({ dir: `${root}/dist/apps/${app}`, format: 'cjs', sourcemap: true, exports: 'auto' });
console.log(`built ${app}: ${entries.join(', ')}`);
