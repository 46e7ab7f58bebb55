/** Conflicts in a row after which a command is given up; each means that somebody else's append succeeded. */
export const MAX_CONFLICTS = 50;

/** Too many others wrote to the stream at the same time; nothing more of this command was applied, and it can be sent again. */
export class TooContended extends Error {
  constructor(stream: string, conflicts = MAX_CONFLICTS) {
    super(`${conflicts} conflicts in a row on ${stream}`);
    this.name = 'TooContended';
  }
}
