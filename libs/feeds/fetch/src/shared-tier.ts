import { once } from 'node:events';
import { promisify } from 'node:util';
import { constants, gunzip, gzip } from 'node:zlib';
import { createClient, createKeyv } from '@keyv/redis';
import { Keyv, KeyvStoreAdapter, StoredData } from 'keyv';
import { z } from 'zod';
import type { Held, Read, Weighed } from './feed-cache';
import { BODY_MAX_BYTES, SHARED_PAUSE_MS, SHARED_WAIT_MS, STALE_IF_ERROR_MS } from './limits';

/** Raised when what is stored changes its form. */
const NAMESPACE = 'balados-feeds-1';
/** Commands that wait for Redis; more than one at a time fetch has not. */
const COMMANDS_WAITING_MAX = 64;
const CONNECT_TIMEOUT_MS = 5_000;

const stored = z.object({
  /** The document in UTF-8, as it is served, in gzip and base64. */
  document: z.string(),
  etag: z.string().nullable(),
  lastModified: z.string().nullable(),
  checkedAt: z.number(),
  movedTo: z.string().nullable(),
});

/** Copies that all processes of the service see. */
export interface SharedTier<Document> {
  store: Keyv;
  /** Resolves when Redis was reached, or failed to be, for the first time. */
  ready: Promise<void>;
  /** In the background: nobody waits for it. */
  keep(feed: string, copy: Held<Document>): void;
  close(): Promise<void>;
}

export interface SharedOptions<Document extends Weighed> {
  read: Read<Document>;
  /** What `read` makes the same document of again, in UTF-8. */
  written: (document: Document) => Uint8Array;
  /** Called once for each time that Redis begins to be away. */
  onAway: (error: unknown) => void;
}

/** In Redis. While it is away there is just nothing in it: it is waited for SHARED_WAIT_MS, then left alone for SHARED_PAUSE_MS. */
export function openSharedTier<Document extends Weighed>(
  url: string,
  { read, written, onAway }: SharedOptions<Document>,
): SharedTier<Document> {
  const client = createClient({
    url,
    disableOfflineQueue: true,
    commandsQueueMaxLength: COMMANDS_WAITING_MAX,
    socket: { connectTimeout: CONNECT_TIMEOUT_MS },
  });
  let askedAgainAt = 0;
  let isAway = false;
  const away = (error: unknown): void => {
    askedAgainAt = performance.now() + SHARED_PAUSE_MS;
    if (!isAway) onAway(error);
    isAway = true;
  };
  client.on('error', away);
  client.on('ready', () => {
    askedAgainAt = 0;
    isAway = false;
  });
  const ready = Promise.race([client.connect(), once(client, 'error')]).then(() => undefined, away);
  const adapter = createKeyv(client as never, { namespace: NAMESPACE, throwOnErrors: true });
  adapter.on('error', () => undefined);
  const redis = adapter.store as KeyvStoreAdapter;

  async function patiently<Answer>(ask: () => Promise<Answer>): Promise<Answer | undefined> {
    if (!client.isReady || performance.now() < askedAgainAt) return undefined;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${SHARED_WAIT_MS} ms`)), SHARED_WAIT_MS);
    });
    try {
      return await Promise.race([ask(), late]);
    } catch (error) {
      away(error);
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }

  const bounded: KeyvStoreAdapter = {
    opts: {},
    get: <Value>(key: string) => patiently(() => redis.get(key)) as Promise<StoredData<Value>>,
    set: (key: string, value: string, ttl?: number) => patiently(() => redis.set(key, value, ttl)),
    delete: async (key: string) => (await patiently(() => redis.delete(key))) ?? false,
    clear: async () => undefined,
    on: () => bounded,
  };
  const store = new Keyv(bounded, {
    useKeyPrefix: false,
    ttl: STALE_IF_ERROR_MS,
    serialize: async ({ value }) => {
      const { document, ...rest } = value as Held<Document>;
      const bytes = await promisify(gzip)(written(document), { level: constants.Z_BEST_SPEED });
      return JSON.stringify({ ...rest, document: bytes.toString('base64') });
    },
    deserialize: async (text: string) => {
      const copy = stored.parse(JSON.parse(text));
      const bytes = await promisify(gunzip)(Buffer.from(copy.document, 'base64'), {
        maxOutputLength: BODY_MAX_BYTES * 2,
      });
      const value: Held<Document> = { ...copy, document: await read(bytes, 'application/xml; charset=utf-8') };
      return { value: value as never };
    },
  });
  store.on('error', () => undefined);

  return {
    store,
    ready,
    keep: (feed, copy) => {
      if (client.isReady) store.set(feed, copy).catch(() => undefined);
    },
    close: async () => {
      client.destroy();
    },
  };
}
