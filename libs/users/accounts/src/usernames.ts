import { Refusal } from '@balados/event-sourcing';

/** In code points, after trimming. */
export const USERNAME_MIN_CHARACTERS = 3;
export const USERNAME_MAX_CHARACTERS = 64;

// Letters, marks, digits, punctuation and symbols of any script: no spaces, no controls, nothing that shows nothing.
const VISIBLE = new RegExp(
  `^[\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}]{${USERNAME_MIN_CHARACTERS},${USERNAME_MAX_CHARACTERS}}$`,
  'u',
);
// To Unicode an empty Braille cell is a symbol.
const INVISIBLE = /[\p{Default_Ignorable_Code_Point}\u2800]/u;

/** Whether some account may have this name, white space around it aside. */
export const isUsername = (text: string): boolean => VISIBLE.test(text.trim()) && !INVISIBLE.test(text.trim());

/** The name as it is kept, trimmed. @throws Refusal `invalid_username` */
export function toUsername(text: string): string {
  if (!isUsername(text))
    throw new Refusal(
      'invalid_username',
      `A username has ${USERNAME_MIN_CHARACTERS} to ${USERNAME_MAX_CHARACTERS} visible characters and no spaces.`,
    );
  return text.trim();
}

/** What must be unique: equal for names that differ in case or in compatibility forms only (ﬁ and fi, ① and 1, ß and SS). */
export const usernameKey = (text: string): string =>
  text
    .normalize('NFKC')
    .toLowerCase()
    .toUpperCase()
    .toLowerCase()
    .normalize('NFKC')
    // Compatibility forms of some accents begin with a space.
    .replaceAll(/\s/g, '');
