import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '@balados/platform-service';
import { lockFolder } from './folder-lock';

const log = createLogger('test', 'silent');
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'balados-lock-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it('is one process’ until it lets go', async () => {
  const lock = await lockFolder(folder, { log });
  await expect(lockFolder(folder, { log, patienceMs: 0 })).rejects.toThrow('in use by another');
  const next = lockFolder(folder, { log });
  await lock.release();
  await (await next).release();
});

it('is free when its process was killed', async () => {
  const holding = `require('net').createServer().listen(${JSON.stringify(join(folder, 'lock'))}, () => console.log('held'))`;
  const child = spawn(process.execPath, ['-e', holding]);
  await once(child.stdout, 'data');
  await expect(lockFolder(folder, { log, patienceMs: 0 })).rejects.toThrow('in use by another');
  child.kill('SIGKILL');
  await once(child, 'close');
  await (await lockFolder(folder, { log, patienceMs: 0 })).release();
});

it('is not needed where it cannot be had', async () => {
  const deep = join(folder, 'a'.repeat(100), 'b'.repeat(100));
  await (await lockFolder(deep, { log })).release();
});
