import { randomBytes } from 'node:crypto';
import { Refusal } from '@balados/event-sourcing';
import { Turns } from '@balados/platform-service';
import * as argon2 from 'argon2';
import { Busy } from './errors';

export const PASSWORD_MIN_BYTES = 8;
export const PASSWORD_MAX_BYTES = 1_024;
/** Argon2id as OWASP recommends it: 19 MiB, two passes, one lane; about 45 ms of one core. */
export const ARGON2_MEMORY_KIB = 19_456;
export const ARGON2_PASSES = 2;
export const ARGON2_LANES = 1;
/** Passwords that may wait for their turn in one process: at two a time, about two seconds' worth. */
export const PASSWORDS_WAITING = 100;
/** What a client is told to wait when the line is full, in seconds. */
export const BUSY_RETRY_SECONDS = 2;

const parameters = {
  type: argon2.argon2id,
  memoryCost: ARGON2_MEMORY_KIB,
  timeCost: ARGON2_PASSES,
  parallelism: ARGON2_LANES,
} as const;

/** Passwords are taken as they are, byte for byte; lone surrogates have no bytes. */
const isPossible = (password: string): boolean => {
  const bytes = Buffer.from(password);
  return bytes.length >= PASSWORD_MIN_BYTES && bytes.length <= PASSWORD_MAX_BYTES && bytes.toString() === password;
};

/** Hashes and checks passwords, `concurrency` at a time; who finds the line full is turned away with Busy. */
export class Passwords {
  private readonly turns: Turns;

  private constructor(
    concurrency: number,
    private readonly dummy: string,
  ) {
    const busy = (): Error => new Busy(BUSY_RETRY_SECONDS);
    this.turns = new Turns({ atATime: concurrency, waitingMax: PASSWORDS_WAITING, busy });
  }

  static async create(concurrency: number): Promise<Passwords> {
    return new Passwords(concurrency, await argon2.hash(randomBytes(32), parameters));
  }

  /** @throws Refusal `invalid_password`; Busy */
  async hash(password: string): Promise<string> {
    if (!isPossible(password))
      throw new Refusal(
        'invalid_password',
        `A password has ${PASSWORD_MIN_BYTES} to ${PASSWORD_MAX_BYTES} bytes of well-formed text.`,
      );
    return this.turns.take(() => argon2.hash(password, parameters));
  }

  /** Takes as long without a hash as with one, so that time does not tell which usernames exist. @throws Busy */
  async verify(hash: string | undefined, password: string): Promise<boolean> {
    if (!isPossible(password)) return false;
    const matches = await this.turns.take(() => argon2.verify(hash ?? this.dummy, password));
    return matches && hash !== undefined;
  }

  /** Whether a hash was made with other parameters than today's. */
  isOutdated(hash: string): boolean {
    return argon2.needsRehash(hash, parameters);
  }
}
