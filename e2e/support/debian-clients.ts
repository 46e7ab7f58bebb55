import { ChildProcess, spawn, spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { Credentials } from './client';
import { NoPackage, unpackDebian } from './debian';
import { report } from './limits';

/** A program of Debian's in Python that syncs, by what it consists of and what drives it. */
interface Program {
  packages: readonly [string, ...string[]];
  driver: string;
}
const MYGPOCLIENT: Program = { packages: ['python3-mygpoclient'], driver: resolve('e2e/support/mygpoclient.py') };
/** What its engine imports; what only its windows need is left out. */
const GPODDER: Program = {
  packages: [
    'gpodder',
    'python3-mygpoclient',
    'python3-podcastparser',
    'python3-requests',
    'python3-urllib3',
    'python3-charset-normalizer',
    'python3-idna',
    'python3-certifi',
    'python3-six',
  ],
  driver: resolve('e2e/support/gpodder.py'),
};

/** Starts a device with it. @param args what its driver wants beside the packages, the server, name and password */
export type Start = (root: string, credentials: Credentials, ...args: string[]) => DebianClient;

/** Undefined where it or Python cannot be had, which is said once. */
function starterOrNone({ packages, driver }: Program): Start | undefined {
  try {
    if (spawnSync('python3', ['--version']).status !== 0) throw new NoPackage('there is no python3');
    const unpacked = join(unpackDebian(packages), 'usr/lib/python3/dist-packages');
    return (root, { username, password }, ...args) =>
      new DebianClient(spawn('python3', [driver, unpacked, root, username, password, ...args], { stdio: 'pipe' }));
  } catch (error) {
    if (!(error instanceof NoPackage)) throw error;
    report(`skipped: ${error.message}`);
    return undefined;
  }
}
/** Its driver wants the address of what is everybody's. */
export const mygpoclientOrNone = (): Start | undefined => starterOrNone(MYGPOCLIENT);
/** Its driver wants the device's name and a folder for it. */
export const gpodderOrNone = (): Start | undefined => starterOrNone(GPODDER);

/** A device that speaks with a program of Debian's. */
export class DebianClient {
  private readonly waiting: ((line: string) => void)[] = [];

  constructor(private readonly process: ChildProcess) {
    createInterface({ input: process.stdout! }).on('line', (line) => this.waiting.shift()?.(line));
    // Of interest when it has ended; before, it chats.
    let said = '';
    process.stderr!.on('data', (text: Buffer) => (said = `${said}${text.toString()}`.slice(-2_000)));
    process.once('close', () => {
      for (const each of this.waiting.splice(0)) each(JSON.stringify({ error: `the client has ended: ${said}` }));
    });
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
