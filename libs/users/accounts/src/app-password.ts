/** Bytes of an app's password: 120 random bits. */
export const APP_PASSWORD_BYTES = 15;

/** Crockford's Base32: nobody takes one of its letters or digits for another. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const BITS = 5;
const GROUP = 6;
const FORM = new RegExp(`^[${ALPHABET}]{${(APP_PASSWORD_BYTES * 8) / BITS}}$`);

/** The first APP_PASSWORD_BYTES in four groups of six, to be read off a screen and typed on a phone. */
export function formatAppPassword(bytes: Buffer): string {
  let text = '';
  let bits = BigInt(`0x${bytes.subarray(0, APP_PASSWORD_BYTES).toString('hex')}`);
  for (let left = APP_PASSWORD_BYTES * 8; left > 0; left -= BITS, bits >>= BigInt(BITS))
    text = ALPHABET[Number(bits & 31n)] + text;
  return grouped(text);
}

/** As it was given, however it is typed: in capitals, without the dashes, with an O for a zero. Undefined for what is none. */
export function readAppPassword(typed: string): string | undefined {
  const text = typed.toLowerCase().replaceAll(/[\s-]/g, '').replaceAll('o', '0').replaceAll(/[il]/g, '1');
  return FORM.test(text) ? grouped(text) : undefined;
}

const grouped = (text: string): string => text.match(new RegExp(`.{${GROUP}}`, 'g'))!.join('-');
