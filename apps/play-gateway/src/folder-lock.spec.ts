import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
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

const holding = (): string =>
  `require('net').createServer().listen(${JSON.stringify(join(folder, 'lock'))}, () => console.log('held'))`;

it('is one process’ until it lets go', async () => {
  const lock = await lockFolder(folder, { log });
  await expect(lockFolder(folder, { log, patienceMs: 0 })).rejects.toThrow('in use by another');
  const next = lockFolder(folder, { log });
  await lock.release();
  await (await next).release();
});

it('is free when its process was killed', async () => {
  const child = spawn(process.execPath, ['-e', holding()]);
  await once(child.stdout, 'data');
  await expect(lockFolder(folder, { log, patienceMs: 0 })).rejects.toThrow('in use by another');
  child.kill('SIGKILL');
  await once(child, 'close');
  await (await lockFolder(folder, { log, patienceMs: 0 })).release();
});

it('is that of one, when several begin at once where one was killed', async () => {
  for (let round = 0; round < 5; round += 1) {
    const child = spawn(process.execPath, ['-e', holding()]);
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'close');
    const begun = await Promise.allSettled(Array.from({ length: 6 }, () => lockFolder(folder, { log, patienceMs: 0 })));
    const held = begun.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    expect(held).toHaveLength(1);
    await held[0]!.release();
    expect(readdirSync(folder)).toEqual([]);
  }
}, 30_000);

it('is not needed where it cannot be had', async () => {
  const deep = join(folder, 'a'.repeat(100), 'b'.repeat(100));
  await (await lockFolder(deep, { log })).release();
});
