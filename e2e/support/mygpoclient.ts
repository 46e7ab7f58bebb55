import { ChildProcess, spawn, spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { Credentials } from './client';
import { NoPackage, unpackDebian } from './debian';
import { report } from './limits';

const DRIVER = resolve('e2e/support/mygpoclient.py');

/** Where Debian's mygpoclient lies; undefined where it or Python cannot be had, which is said once. */
export function mygpoclientOrNone(): string | undefined {
  try {
    if (spawnSync('python3', ['--version']).status !== 0) throw new NoPackage('there is no python3');
    return join(unpackDebian('python3-mygpoclient'), 'usr/lib/python3/dist-packages');
  } catch (error) {
    if (!(error instanceof NoPackage)) throw error;
    report(`skipped: ${error.message}`);
    return undefined;
  }
}

/** A device that speaks with Debian's mygpoclient. */
export class Mygpoclient {
  private readonly waiting: ((line: string) => void)[] = [];

  private constructor(private readonly process: ChildProcess) {
    createInterface({ input: process.stdout! }).on('line', (line) => this.waiting.shift()?.(line));
    process.once('exit', () => {
      for (const each of this.waiting.splice(0)) each(JSON.stringify({ error: 'the client has ended' }));
    });
  }

  /** `root`, `publicRoot`: where it finds what is the listener's, and what is everybody's. */
  static start(
    packages: string,
    { root, publicRoot }: { root: string; publicRoot: string },
    { username, password }: Credentials,
  ): Mygpoclient {
    const args = [DRIVER, packages, root, publicRoot, username, password];
    return new Mygpoclient(spawn('python3', args, { stdio: ['pipe', 'pipe', 'inherit'] }));
  }

  /** @throws Error with what the client raised */
  // What a call gives is as various as its calls.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  async call(name: string, ...args: unknown[]): Promise<any> {
    const line = new Promise<string>((resolve) => this.waiting.push(resolve));
    this.process.stdin!.write(`${JSON.stringify([name, ...args])}\n`);
    const { answer, error } = JSON.parse(await line) as { answer?: unknown; error?: string };
    if (error !== undefined) throw new Error(error);
    return answer;
  }

  stop(): void {
    this.process.kill('SIGKILL');
  }
}
