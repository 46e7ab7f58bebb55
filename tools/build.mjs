// Bundles one app into dist/apps/<app>.
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { bundle } from './bundle.mjs';

const [app] = process.argv.slice(2);
const root = resolve(import.meta.dirname, '..');
const source = resolve(root, `apps/${app}/src`);
// An app may have more entries than main.ts: processes that it supervises.
const entries = ['main', 'eventstore', 'postgres'].filter((name) => existsSync(`${source}/${name}.ts`));
if (!app || entries.length === 0) {
  console.error(`build: no app ${app ?? '(none named)'}; usage: node tools/build.mjs <app>`);
  process.exit(2);
}
await bundle(Object.fromEntries(entries.map((name) => [name, `${source}/${name}.ts`])), `${root}/dist/apps/${app}`);
console.log(`built ${app}: ${entries.join(', ')}`);
