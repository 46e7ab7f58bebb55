// npm run demo, seed, bench, jobs: bundles tools/<name>/main.ts like an app and runs it here with the rest of the arguments.
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const [name] = process.argv.splice(2, 1);
const main = resolve(root, `tools/${name}/main.ts`);
if (!name || !existsSync(main)) {
  console.error(`run: no tool ${name ?? '(none named)'}; usage: node tools/run.mjs <tool> [arguments]`);
  process.exit(2);
}

await import('./install.mjs');
// Only now: install.mjs may just have brought what bundles.
const { bundle } = await import('./bundle.mjs');
const folder = resolve(root, `dist/tools/${name}`);
await bundle({ main }, folder, { withPackages: false });
await import(`${folder}/main.js`);
