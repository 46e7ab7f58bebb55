import { parseArgs } from 'node:util';
import { StoredEvent, toldBy } from '@balados/event-sourcing';
import { ConfigError, readConfig } from '@balados/platform-service';
import { isPassingDatabaseError, RebuildStopped, skipEvent } from '@balados/platform-stores';
import { CommandFailed, open, operateConfig, Opened } from './contexts';
import { hides } from './hides';
import { giveUp, makeAnew } from './make-anew';
import { showStatus } from './show-status';

const USAGE = `projections status [--json]
projections rebuild users|site [--abort] [--publish]
projections skip <event id> [--unhide]

status    where each projector and each of its segments stands, how far it is behind, who holds it, and why it stands still
rebuild   makes the tables of a projector anew from the log, beside those that are read, and switches over; called again it goes on,
          called in a second process it shares the work; --abort gives it up; --publish also publishes podcasts that are not now, by a
          lower PUBLIC_MIN_LISTENERS
skip      moves the segments that stand still at an event past it, and notes who did so; --unhide also past one by which its listener
          hides or erases something, which is shown from then on

Stores and policy are named by the same variables as for the service.`;

const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i;

class Misused extends Error {}

/** Runs a command. @returns the exit code */
export async function operate(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  output: Output = process,
): Promise<number> {
  try {
    const command = read(args);
    const opened = await open(readConfig(operateConfig, env));
    try {
      return await command(opened, { ...output, env });
    } finally {
      await opened.close();
    }
  } catch (error) {
    if (error instanceof Misused) {
      output.stderr.write(`${error.message}\n\n${USAGE}\n`);
      return 2;
    }
    const isExpected =
      [CommandFailed, RebuildStopped, ConfigError].some((kind) => error instanceof kind) ||
      isPassingDatabaseError(error);
    output.stderr.write(`projections: ${isExpected ? (error as Error).message : ((error as Error).stack ?? error)}\n`);
    return 1;
  }
}

/** Where a command says what it has to say. */
export interface Output {
  stdout: NodeJS.WritableStream;
  stderr: NodeJS.WriteStream;
}

export type Surroundings = Output & { env: NodeJS.ProcessEnv };

type Command = (opened: Opened, surroundings: Surroundings) => Promise<number>;

/** @throws Misused */
function read(args: readonly string[]): Command {
  const options = {
    json: { type: 'boolean' },
    abort: { type: 'boolean' },
    publish: { type: 'boolean' },
    unhide: { type: 'boolean' },
  } as const;
  let parsed;
  try {
    parsed = parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    throw new Misused((error as Error).message);
  }
  const { values, positionals } = parsed;
  const [name, of, ...more] = positionals;
  if (more.length > 0) throw new Misused(`too many arguments: ${more.join(' ')}`);
  if (name === 'status' && of === undefined)
    return (opened, { stdout }) => showStatus(opened, { isJson: values.json ?? false, stdout });
  if (name === 'rebuild' && (of === 'users' || of === 'site'))
    return values.abort
      ? (opened, { stdout }) => giveUp(opened, of, stdout)
      : (opened, around) => makeAnew(opened, { name: of, mayPublish: values.publish ?? false }, around);
  if (name === 'skip' && of !== undefined && UUID.test(of))
    return (opened, { stdout }) => skip(opened, of, { mayUnhide: values.unhide ?? false, stdout });
  throw new Misused(name === undefined ? 'no command' : `not understood: ${positionals.join(' ')}`);
}

async function skip(
  { users, site, store }: Opened,
  event: string,
  { mayUnhide, stdout }: { mayUnhide: boolean; stdout: NodeJS.WritableStream },
): Promise<number> {
  const skipped = [];
  const check = (found: StoredEvent): void => {
    if (hides(found) && !mayUnhide)
      throw new CommandFailed(
        `by event ${event} (${toldBy(found)}) its listener may hide or erase something, which would be shown; --unhide skips it all the same`,
      );
  };
  for (const { live, rebuildable } of [users, site])
    skipped.push(...(await skipEvent(live, store, rebuildable.projector, event, check)));
  if (skipped.length === 0) throw new CommandFailed(`no projector stands still at event ${event}`);
  for (const { projector, segment, event: of, reason } of skipped)
    stdout.write(
      `${projector}, segment ${segment}: past ${toldBy(of)} of ${of.stream} at revision ${of.revision}, which could not be applied: ${reason}\n`,
    );
  return 0;
}
