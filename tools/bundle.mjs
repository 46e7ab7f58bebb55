import { readFileSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { rolldown } from 'rolldown';

const root = resolve(import.meta.dirname, '..');
const { paths } = JSON.parse(readFileSync(`${root}/tsconfig.base.json`, 'utf8')).compilerOptions;
const ours = (id) => id.startsWith('.') || id.startsWith('/') || id in paths || id.startsWith('@oxc-project/');

/** Bundles entries (name → file) to CommonJS in `folder`: our sources in, npm packages left outside (Node requires Nest's ES modules itself). */
export async function bundle(input, folder) {
  const bundled = await rolldown({
    input,
    platform: 'node',
    tsconfig: `${root}/tsconfig.json`,
    external: (id) => !ours(id),
  });
  rmSync(folder, { recursive: true, force: true });
  await bundled.write({ dir: folder, format: 'cjs', sourcemap: true, exports: 'auto' });
  await bundled.close();
}
