import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import { superviseChild, SupervisedChild } from '@balados/embedded';
import { NewEvent } from '@balados/event-sourcing';
import { createDatabase } from '@balados/testing';

const STAND_IN = resolve(__dirname, '../../../../dist/apps/standalone/eventstore.js');

/** An EventStoreDB of its own for a suite, as a real process: killed, it is started again on its port. */
export async function startStandIn(): Promise<{
  url: string;
  child: SupervisedChild;
  /** The database that holds its events. */
  databaseUrl: string;
  close(): Promise<void>;
}> {
  const database = await createDatabase();
  const child = await superviseChild({
    name: 'event store',
    command: process.execPath,
    args: [STAND_IN],
    env: { ...process.env, DATABASE_URL: database.url, PORT: '0' },
    portVariable: 'PORT',
    log: () => undefined,
  });
  return {
    url: `esdb://127.0.0.1:${child.port}?tls=false`,
    child,
    databaseUrl: database.url,
    async close() {
      await child.close();
      await database.drop();
    },
  };
}

export const newEvent = (data: object = {}, type = 'Happened', id: string = randomUUID()): NewEvent => ({
  id,
  type,
  data,
  metadata: { version: 1, recordedAt: '2026-01-01T00:00:00.000Z', correlationId: 'test' },
});

/** Bundles a TypeScript file of this folder, so that a test can run it as a process of its own. @returns what to run */
export function bundle(entry: string): string {
  const root = resolve(__dirname, '../../../..');
  const folder = resolve(root, `dist/tests/${randomUUID()}`);
  const script = `
    import { rolldown } from 'rolldown';
    const external = (id) => !/^[./]|^@balados\\/|^@oxc-project\\//.test(id);
    const options = { input: ${JSON.stringify(resolve(__dirname, entry))}, platform: 'node', external };
    const bundle = await rolldown({ ...options, tsconfig: ${JSON.stringify(`${root}/tsconfig.json`)} });
    await bundle.write({ file: ${JSON.stringify(`${folder}/main.js`)}, format: 'cjs' });`;
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: root,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`${entry} cannot be bundled: ${stderr}`);
  return `${folder}/main.js`;
}
