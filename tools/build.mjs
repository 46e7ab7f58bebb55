// Bundles apps into dist/apps/<app>.
import { cpSync, existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { bundle } from './bundle.mjs';

const apps = process.argv.slice(2);
const root = resolve(import.meta.dirname, '..');
// An app may have more entries than main.ts: processes that it supervises, and what an operator calls.
const entriesOf = (app) =>
  ['main', 'eventstore', 'postgres', 'run', 'operate'].filter((name) =>
    existsSync(`${root}/apps/${app}/src/${name}.ts`),
  );
/** What an app gives browsers as it is, beside its code. */
const PAGES = { jobs: 'apps/jobs/src/dashboard/page', standalone: 'apps/jobs/src/dashboard/page' };
const unknown = apps.find((app) => entriesOf(app).length === 0);
if (apps.length === 0 || unknown) {
  console.error(`build: no app ${unknown ?? '(none named)'}; usage: node tools/build.mjs <app> ...`);
  process.exit(2);
}
for (const app of apps) {
  const input = entriesOf(app).map((name) => [name, `${root}/apps/${app}/src/${name}.ts`]);
  await bundle(Object.fromEntries(input), `${root}/dist/apps/${app}`, { withPackages: true });
  if (PAGES[app]) cpSync(`${root}/${PAGES[app]}`, `${root}/dist/apps/${app}/page`, { recursive: true });
  console.log(`built ${app}: ${entriesOf(app).join(', ')}`);
}
