import { createSecretKey, KeyObject } from 'node:crypto';
import { z } from 'zod';

/** The least bytes of a key that signs play links. */
export const LINK_KEY_MIN_BYTES = 32;

const BASE64URL = /^[\w-]+={0,2}$/;

/** `LINK_KEYS`, comma-separated base64url → keys, which print as nothing. The first signs, all verify: a new one is put before the old. */
export const linkKeys = z
  .string()
  .refine(
    (text) => text.split(',').every((key) => BASE64URL.test(key.trim()) && bytesOf(key).length >= LINK_KEY_MIN_BYTES),
    `must be comma-separated keys in base64url, each of at least ${LINK_KEY_MIN_BYTES} bytes`,
  )
  .transform((text) => text.split(',').map((key): KeyObject => createSecretKey(bytesOf(key))))
  .describe('Keys of play links, comma-separated base64url of 32 random bytes or more; the first signs, all verify.');

const bytesOf = (key: string): Buffer => Buffer.from(key.trim(), 'base64url');
