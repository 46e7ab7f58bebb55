// npm run demo, npm run bench: bundles tools/<name>/main.ts like an app and runs it here with the rest of the arguments.
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const [name] = process.argv.splice(2, 1);
const main = resolve(root, `tools/${name}/main.ts`);
if (!name || !existsSync(main)) {
  console.error(`run: no tool ${name ?? '(none named)'}; usage: node tools/run.mjs <tool> [arguments]`);
  process.exit(2);
}
const { paths } = JSON.parse(readFileSync(`${root}/tsconfig.base.json`, 'utf8')).compilerOptions;
const ours = (id) => id.startsWith('.') || id.startsWith('/') || id in paths || id.startsWith('@oxc-project/');

await import('./install.mjs');
// Only now: install.mjs may just have brought it.
const { rolldown } = await import('rolldown');
const bundle = await rolldown({
  input: { main },
  platform: 'node',
  tsconfig: `${root}/tsconfig.json`,
  external: (id) => !ours(id),
});
const folder = resolve(root, `dist/tools/${name}`);
rmSync(folder, { recursive: true, force: true });
await bundle.write({ dir: folder, format: 'cjs', sourcemap: true, exports: 'auto' });
await bundle.close();
await import(`${folder}/main.js`);
