import 'reflect-metadata';
import { runCommand } from '@balados/jobs';
import { DemoFailed } from '../demo/api';
import { onStores } from '../seed/stores';

/** npm run jobs: those of a system that `npm start` runs in DATA_DIR, or that the environment names as for the service. */
async function main(): Promise<number> {
  const args = process.argv.slice(2);
  const output = { line: (text: string) => console.log(text), progress: process.stderr };
  let env = process.env;
  try {
    env = onStores(env);
  } catch (error) {
    if (!(error instanceof DemoFailed)) throw error;
    // It may be help alone that is asked for, or the list.
    if (!args.some((arg) => arg === 'list' || arg === '--help')) {
      console.error(error.message);
      return 2;
    }
  }
  return runCommand(args, env, output);
}

main().then(
  (code) => (process.exitCode = code),
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  },
);
