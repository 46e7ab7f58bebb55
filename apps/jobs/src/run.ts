import 'reflect-metadata';
import { runCommand } from './command';

// Jobs by hand: node dist/apps/jobs/run.js <job>|all|list [--dry-run]
runCommand(process.argv.slice(2), process.env, {
  line: (text) => void process.stdout.write(`${text}\n`),
  progress: process.stderr,
}).then(
  (code) => (process.exitCode = code),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
    process.exitCode = 1;
  },
);
