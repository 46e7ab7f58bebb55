// npm start: installs what is missing, builds, and becomes the system: services here, stores as child processes.
import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import './install.mjs';

const root = resolve(import.meta.dirname, '..');
const { status } = spawnSync(process.execPath, [resolve(root, 'tools/build.mjs'), 'standalone'], {
  stdio: ['ignore', 2, 2],
});
if (status !== 0) process.exit(status ?? 1);
await import(resolve(root, 'dist/apps/standalone/main.js'));
