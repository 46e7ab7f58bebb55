import { ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';

/** Work that runs in a process of its own, so that its CPU is not taken for that of what is measured, nor slowed by us. */
export type Worker = (order: never) => Promise<unknown>;

/** The program's own file, which is also the workers'. */
const PROGRAM = __filename;
const ROLE_VARIABLE = 'BALADOS_BENCH_WORKER';
/** No worker is busy for longer, in milliseconds. */
const WORK_LIMIT_MS = 600_000;

type Reply = { result: unknown } | { error: string };

/** In a worker: takes one order, answers it, and lives until the parent lets go. False in the parent. */
export function isWorker(workers: Record<string, Worker>): boolean {
  const role = process.env[ROLE_VARIABLE];
  if (!role) return false;
  process.once('message', (order) => {
    workers[role]!(order as never)
      .then((result): Reply => ({ result }))
      .catch((error: Error): Reply => ({ error: error.stack ?? error.message }))
      .then((reply) => process.send!(reply));
  });
  process.once('disconnect', () => process.exit(0));
  return true;
}

/** Has a worker do `order`, and hands its answer to `use` while the worker lives. */
export async function withWorker<Result, Used = Result>(
  role: string,
  order: object,
  use: (result: Result) => Used | Promise<Used>,
): Promise<Used> {
  const child: ChildProcess = fork(PROGRAM, [], { env: { ...process.env, [ROLE_VARIABLE]: role } });
  const gone = once(child, 'exit');
  const limit = setTimeout(() => child.kill('SIGKILL'), WORK_LIMIT_MS);
  try {
    child.send(order);
    const reply = await Promise.race([
      once(child, 'message').then(([message]) => message as Reply),
      gone.then(([code, signal]): Reply => ({ error: `the ${role} process ended with ${signal ?? code}` })),
    ]);
    if ('error' in reply) throw new Error(reply.error);
    return await use(reply.result as Result);
  } finally {
    clearTimeout(limit);
    if (child.connected) child.disconnect();
    await gone;
  }
}
