import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createDatabase, TestDatabase } from '@balados/testing';
import { newListener, request } from './support/client';
import { SERVICES } from './support/logins';
import { runServices } from './support/services';
import { LINK_KEY, System } from './support/system';

describe('what the image holds', () => {
  let root: string;
  let database: TestDatabase;
  let system: System | undefined;
  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), 'balados-image-'));
    // As the Dockerfile copies it.
    execFileSync(process.execPath, ['deploy/image-modules.mjs', join(root, 'node_modules')]);
    for (const service of SERVICES)
      cpSync(`dist/apps/${service}`, join(root, 'dist/apps', service), { recursive: true });
    database = await createDatabase();
    system = await runServices({ database: database.url, folder: root, linkKey: LINK_KEY, root });
  }, 120_000);
  afterAll(async () => {
    await system?.stop();
    await database?.drop();
    rmSync(root, { recursive: true, force: true });
  }, 120_000);

  it('is all that the services need: they are ready, take an account, and show their documentation', async () => {
    const device = await newListener(system!.listeners);
    expect((await device.subscribe('https://feeds.example/a.xml')).status).toBe(200);
    for (const door of [system!.listeners, system!.public, system!.feeds]) {
      expect((await fetch(`${door}/api/docs`)).status).toBe(200);
      expect((await fetch(`${door}/api/docs/swagger-ui-bundle.js`)).status).toBe(200);
    }
    expect((await request(`${system!.public}/api/v1/public/timeline`)).status).toBe(200);
  });
});
